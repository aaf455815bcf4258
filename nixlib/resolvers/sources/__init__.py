"""Packages that come as source, as the resolver of Python indexes sees them."""
