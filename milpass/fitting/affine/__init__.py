"""The modes of `fit_affine`: one file each."""
