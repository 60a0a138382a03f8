"""What a fit takes, what it gives, and what it may say instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from milpass.encodings import Encoding


@frozen
class Quality:
    """How well an encoding meets its weight, all sums over the elements in float64, by their importance.

    `squared_error` and `max_error` are of what is stored; `signal` is the sum of squares of the weight.
    `optimum` is the squared error of the best table of real numbers, before it is rounded to the stored
    dtype, and `bound` what the fit proves no table can go below; None where a mode seeks no optimum.
    `ways` are the keys of `WAYS` by which tables were proven, with their numbers.
    """

    squared_error: float
    max_error: float
    signal: float
    optimum: float | None = None
    bound: float | None = None
    ways: tuple[tuple[str, int], ...] = ()

    @classmethod
    def total(cls, parts: Sequence[Quality]) -> Quality:
        """Of a weight whose parts were fitted one by one."""
        return cls(
            sum(part.squared_error for part in parts),
            max((part.max_error for part in parts), default=0.0),
            sum(part.signal for part in parts),
            _sum_or_none([part.optimum for part in parts]),
            _sum_or_none([part.bound for part in parts]),
            _counted_ways(parts),
        )


# How a table was proven to be the best.
WAYS: dict[str, str] = {
    "values": "there are no more distinct values than entries",
    "price": "best of all numbers of entries at a price for each, and of the number asked for (duality)",
    "spliced": "joined of two that are best at one price, with fewer and with more entries (Monge property)",
    "cells, price": "as by price, where penalised sweeps over cells leave boundaries",
    "cells, spliced": "as spliced, where penalised sweeps over cells leave boundaries",
    "cells, values": "as values, where penalised sweeps over cells leave boundaries",
}


def _counted_ways(parts: Sequence[Quality]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(dict(part.ways))
    return tuple(sorted(counts.items()))


def _sum_or_none(terms: Sequence[float | None]) -> float | None:
    known = [term for term in terms if term is not None]
    return sum(known) if len(known) == len(terms) else None


@frozen(eq=False)
class Terms:
    """What a fit has to keep to, beside its own options.

    `legal_nbits` ascends: the numbers of bits that the model's format can say.  `groups` are the numbers of
    groups along each axis of the weight; only those that pruning looks at need not divide it.  `mask` (bool,
    of the weight's shape) tells the elements that are stored at all, `importance` (float64, of its shape)
    what an error in each costs; None: all, alike.  Vectors lie along `vector_axis`.  With `has_biases` whole
    numbers come with a scale and a bias, not with a zero point.
    """

    legal_nbits: Sequence[int]
    groups: tuple[int, ...] = ()
    mask: NDArray[np.bool_] | None = None
    importance: NDArray[np.float64] | None = None
    vector_axis: int | None = None
    has_biases: bool = False

    @property
    def are_plain(self) -> bool:
        """Whether all elements are one group and count alike."""
        return set(self.groups) <= {1} and self.mask is None and self.importance is None


@frozen
class FittedWeight:
    """An encoding and how good it is.

    `parameters` are what a mode that takes long has searched for: from them, the values and the quality its
    `again` makes the same encoding (`milpass.fitting.finding`).
    """

    encoding: Encoding
    quality: Quality
    parameters: tuple[NDArray[Any], ...] = field(default=(), eq=False, repr=False)


class LutOptions(Protocol):
    """What a table fit needs to know."""

    @property
    def nbits(self) -> int | None:
        """Bits an index; the table has 2**nbits entries."""

    @property
    def cluster_dim(self) -> int:
        """Elements that one index stands for."""

    @property
    def lut_function(self) -> Callable[[NDArray[Any]], Any] | str | None:
        """A user's own function that makes the table."""


class AffineOptions(Protocol):
    """What a fit of whole numbers needs to know."""

    @property
    def nbits(self) -> int | None:
        """Bits a number."""

    @property
    def range(self) -> str:
        """Which part of the values the numbers span: "minmax", all; "mse", what makes the least error."""

    @property
    def signed(self) -> bool:
        """Whether numbers go below zero."""

    @property
    def has_offset(self) -> bool:
        """Whether zero points are stored."""


class PruningOptions(Protocol):
    """What pruning needs to know: one of three rules."""

    @property
    def sparsity(self) -> float | None:
        """The share of elements that become zero."""

    @property
    def threshold(self) -> float | None:
        """The greatest magnitude that does."""

    @property
    def minimum_sparsity(self) -> float:
        """The least share of zeros with which a weight is pruned by a threshold."""

    @property
    def block_size(self) -> int | None:
        """How many neighbours go together, None where each goes by itself."""

    @property
    def n_m(self) -> tuple[int, int] | None:
        """How many of how many neighbours do."""


class Mode(Protocol):
    """A mode: how the numbers are chosen."""

    @property
    def NBITS(self) -> Literal["given", "found", "either"]:
        """Who chooses the number of bits: "given" by the pass, "found" from the data, or "either"."""

    def fit(self, array: NDArray[Any], options: Any, terms: Terms) -> FittedWeight:
        """Fit `array` (fp16, fp32 or int8, any shape); raises `NotFittable` where its data forbid it."""


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
