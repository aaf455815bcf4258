"""The private groups of a lock: each is resolved in its turn, beside what the process holds by then."""
