"""The modes of `prune_weights`: one file each."""
