"""The mode of `decompress`."""
