"""For tests of passes, fits and targets: mini-MIL, assertions, and what every target must do.

`milpass.testing.strategies` has strategies for hypothesis.
"""

from __future__ import annotations

from milpass.testing.assertions import assert_op_counts, assert_rewrites, assert_weights_close
from milpass.testing.mini_mil import normalized, print_program, read_program
from milpass.testing.targets import TargetTests

__all__ = [
    "TargetTests",
    "assert_op_counts",
    "assert_rewrites",
    "assert_weights_close",
    "normalized",
    "print_program",
    "read_program",
]
