"""Look-up tables of vectors."""
