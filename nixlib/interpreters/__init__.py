"""Python itself as a store object: a standalone release, or a copy of one of this machine."""
