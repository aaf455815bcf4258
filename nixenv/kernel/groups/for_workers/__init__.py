"""A folder for `sys.path` of worker processes: it makes `nixenv` importable there, and nothing else."""
