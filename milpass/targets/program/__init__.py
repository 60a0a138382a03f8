"""A program in coremltools' hands: PyMIL's `Program`, edited in place."""
