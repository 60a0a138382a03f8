"""Searches carried out by an executor: threads, processes, other machines that see the same files."""
