"""Mini-MIL: a readable text form of small programs, in Python's own syntax, read and printed."""

from milpass.testing.mini_mil.printing import normalized, print_program
from milpass.testing.mini_mil.reading import read_program

__all__ = ["normalized", "print_program", "read_program"]
