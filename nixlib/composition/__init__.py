"""Environments as trees of links: what goes where, who wins, what runs."""
