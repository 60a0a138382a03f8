"""Look-up tables of scalars: what a weight's values are, which entries are best, which each element gets."""
