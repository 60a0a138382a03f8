"""The modes of `fit_cast`: one file a type."""
