"""What a fit takes, what it gives, and what it may say instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

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

    @property
    def lut_function(self) -> Callable[[NDArray[Any]], Any] | str | None:
        """A user's own function that makes the table."""


class Mode(Protocol):
    """A mode: how the numbers are chosen."""

    @property
    def NBITS(self) -> Literal["given", "found", "either"]:
        """Who chooses the number of bits: "given" by the pass, "found" from the data, or "either"."""

    def fit(self, array: NDArray[Any], options: LutOptions, legal_nbits: Sequence[int]) -> FittedWeight:
        """Fit `array` (fp16 or fp32, any shape); raises `NotFittable` where its data forbid it.

        `legal_nbits` ascends: the numbers of bits that the model's format can say.
        """


class NotFittable(Exception):
    """What only the data tell: this weight cannot be encoded; the message is the reason."""


def fewest_nbits(entries: int, legal_nbits: Sequence[int]) -> int:
    """The least number of bits that holds so many entries; raises `NotFittable` where none does."""
    for nbits in legal_nbits:
        if entries <= 1 << nbits:
            return nbits
    raise NotFittable(f"{entries} entries: a table of this format has at most {1 << max(legal_nbits)}")


class Mistake(Exception):
    """A user's own function gave something else than it must."""

    def __init__(self, who: str, got: str, needs: str) -> None:
        super().__init__(who, got, needs)
        self.who = who
        self.got = got
        self.needs = needs
