"""What the fits of a weight have found, apart from what is stored: made, told by a key, kept, used again."""
