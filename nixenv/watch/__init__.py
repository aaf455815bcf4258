"""Building the environments of notebooks while they are being written, so that their kernels start at once."""
