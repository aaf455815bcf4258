"""Attributes of nixpkgs: from a branch to a commit, its tree, an attribute's outputs, and those in the store."""
