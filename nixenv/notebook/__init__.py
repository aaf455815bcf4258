"""The document: which one a kernel belongs to, its metadata, its only reader and writer."""
