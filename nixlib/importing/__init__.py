"""From the artifacts that a lock names to store objects."""
