"""Scripts that other interpreters run: standard library only, Python 3.8 and later."""
