"""What a fit takes, what it gives, and what it may say instead."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import frozen
from numpy.typing import NDArray

from milpass.encodings import Encoding


@frozen
class Quality:
    """How well an encoding meets its weight, all sums over the elements in float64.

    `squared_error` and `max_error` are of the stored table; `signal` is the sum of squares of the weight.
    `optimum` is the squared error of the best table of real numbers, before it is rounded to the stored
    dtype, and `bound` what the fit proves no table can go below; None where a mode seeks no optimum.
    """

    squared_error: float
    max_error: float
    signal: float
    optimum: float | None = None
    bound: float | None = None


@frozen
class FittedWeight:
    """An encoding and how good it is."""

    encoding: Encoding
    quality: Quality


class LutOptions(Protocol):
    """What a table fit needs to know."""

    @property
    def nbits(self) -> int | None:
        """Bits an index; the table has 2**nbits entries."""


class FitFunction(Protocol):
    """A mode: how the numbers are chosen."""

    def __call__(self, array: NDArray[Any], options: LutOptions) -> FittedWeight:
        """Fit `array` (fp16 or fp32, any shape); raises `NotFittable` where its data forbid it."""


class NotFittable(Exception):
    """What only the data tell: this weight cannot be encoded; the message is the reason."""
