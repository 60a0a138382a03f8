"""The least squared error of k clusters on a line, by another road than milpass' own.

fp16 values are multiples of 2**-24, so the sums of a weight and of its squares are whole numbers, and the
error of a clustering is a fraction: both are computed without rounding.  Which clustering is best comes from
the classic dynamic program, layer by layer, each by divide and conquer (the best start of the last cluster
moves forward with its end): O(k n log n), in numpy's longdouble.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

UNIT = 2**24


@frozen(eq=False)
class Sums:
    """Before each of the ascending distinct values: the sums of counts, count * x and count * x**2."""

    counts: list[int]
    firsts: list[int]
    seconds: list[int]

    @classmethod
    def of(cls, weight: NDArray[np.float16]) -> Sums:
        """The sums over the elements of a weight, in units of 2**-24 and its square."""
        values, counts = np.unique(weight.astype(np.float64), return_counts=True)
        whole = [int(value * UNIT) for value in values]
        numbers = [int(count) for count in counts]
        terms = [n * x for n, x in zip(numbers, whole, strict=True)]
        squares = [t * x for t, x in zip(terms, whole, strict=True)]
        return cls(*([0, *accumulate(column)] for column in (numbers, terms, squares)))

    def error(self, edges: list[int]) -> float:
        """The squared error of the clusters between edges, rounded once."""
        total = sum((self._cluster_error(*pair) for pair in pairwise(edges)), Fraction(0))
        return float(total / UNIT**2)

    def _cluster_error(self, start: int, end: int) -> Fraction:
        first = self.firsts[end] - self.firsts[start]
        count = self.counts[end] - self.counts[start]
        return self.seconds[end] - self.seconds[start] - Fraction(first * first, count)


def least_errors(weight: NDArray[np.float16], ks: list[int]) -> dict[int, float]:
    """The least squared error of a weight with at most k clusters, for each k of `ks`."""
    sums = Sums.of(weight)
    columns = [np.array([np.longdouble(n) for n in sums.counts])]
    columns += [np.array([np.longdouble(n) for n in column]) for column in (sums.firsts, sums.seconds)]
    size = columns[0].size - 1
    costs = np.full(size + 1, np.inf, np.longdouble)
    costs[0] = 0
    layers: list[NDArray[np.int32]] = []
    found: dict[int, float] = {}
    for k in range(1, max(ks) + 1):
        costs, starts = _next_layer(columns, costs)
        layers.append(starts)
        if k in ks:
            found[k] = sums.error(_edges(layers))
    return found


def _next_layer(
    columns: list[NDArray[np.longdouble]], before: NDArray[np.longdouble]
) -> tuple[NDArray[np.longdouble], NDArray[np.int32]]:
    """The least costs up to each end with one cluster more, and where that cluster starts.

    Ends are taken in the order 1/2, 1/4 and 3/4, ...: each start lies between those of its neighbours.
    """
    size = before.size - 1
    costs = np.zeros_like(before)
    starts = np.zeros(size + 1, np.int32)
    step = 1 << (size.bit_length() - 1)
    while step:
        ends = np.arange(step, size + 1, 2 * step)
        known = ends + step <= size
        high = np.where(known, starts[np.minimum(ends + step, size)], ends - 1)
        costs[ends], starts[ends] = _best_starts(
            columns, before, ends, starts[ends - step], np.minimum(high, ends - 1)
        )
        step //= 2
    return costs, starts


def _best_starts(
    columns: list[NDArray[np.longdouble]],
    before: NDArray[np.longdouble],
    ends: NDArray[np.int64],
    low: NDArray[np.int32],
    high: NDArray[np.int64],
) -> tuple[NDArray[np.longdouble], NDArray[np.int64]]:
    """For each end the cheapest start from low to high, all tried, and its cost."""
    lengths = high - low + 1
    offsets = np.cumsum(lengths) - lengths
    tried = np.arange(lengths.sum()) + np.repeat(low - offsets, lengths)
    count, first, second = (np.repeat(column[ends], lengths) - column[tried] for column in columns)
    costs = before[tried] + (second - first * first / count)
    least = np.minimum.reduceat(costs, offsets)
    hits = np.flatnonzero(costs == np.repeat(least, lengths))
    return least, tried[hits[np.searchsorted(hits, offsets)]]


def _edges(layers: list[NDArray[np.int32]]) -> list[int]:
    """From the last layer back to the first: the edges of the best clustering."""
    edges = [layers[0].size - 1]
    for starts in reversed(layers):
        if edges[-1]:
            edges.append(int(starts[edges[-1]]))
    return edges[::-1]
