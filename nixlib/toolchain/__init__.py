"""This machine's C compiler as a store object: what `host#cc` among the build inputs stands for."""
