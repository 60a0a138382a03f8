"""A program in coremltools' hands: PyMIL's `Program`, edited in place."""

from milpass.targets.program.target import ProgramTarget, is_program

__all__ = ["ProgramTarget", "is_program"]
