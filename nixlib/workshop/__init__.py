"""Where things are built: a Python and the libraries it needs, a place without a network, one door in."""
