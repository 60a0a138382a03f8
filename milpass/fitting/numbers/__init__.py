"""Whole numbers with scales."""
