"""Private dependencies: what one process can hold once only, and whose a package of a group is (pure)."""
