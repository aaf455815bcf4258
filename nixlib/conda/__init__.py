"""Conda packages: archives as store objects, and the prefix that they make together."""
