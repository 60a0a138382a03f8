"""The modes of `fit_lut`: one file each."""
