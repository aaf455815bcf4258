"""What compiled modules of a group call in place of the interpreter's functions."""
