"""Resolvers: from what a notebook asks for to exactly what it gets. One file per ecosystem."""
