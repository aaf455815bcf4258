"""Programs and libraries as files: what an ELF file needs, and where it looks for it."""
