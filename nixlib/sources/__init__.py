"""Packages that come as source: opening it, building it in an enclosure, and what it then is."""
