"""Indices into a table, computed part by part so that they need never stand in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from milpass import packing
from milpass.paging import LARGE, let_go, release

# A part: a multiple of 8, so that every packed part ends on a byte; large, as threads meet between parts.
PART = 1 << 20


@frozen(eq=False)
class Indices:
    """For each element of a weight of `shape`, the number of its table entry, below 2**`nbits`.

    `part(start, stop)` gives those of the elements from start to stop in row-major order, as flat uint8.
    """

    shape: tuple[int, ...]
    nbits: int
    part: Callable[[int, int], NDArray[np.uint8]] = field(repr=False)

    @classmethod
    def of(cls, array: NDArray[np.uint8], nbits: int) -> Indices:
        """Indices that stand in an array of the weight's shape."""
        flat = np.ascontiguousarray(array, dtype=np.uint8).reshape(-1)

        def part(start: int, stop: int) -> NDArray[np.uint8]:
            if flat.nbytes < LARGE:
                return flat[start:stop]
            copied = flat[start:stop].copy()
            release(flat[start:stop])
            return copied

        return cls(tuple(array.shape), nbits, part)

    @classmethod
    def unpacked(
        cls, packed: NDArray[np.uint8], shape: tuple[int, ...], nbits: int, *, msb: bool = False
    ) -> Indices:
        """Indices that stand packed in bytes, least significant bit first or (`msb`) most."""

        def part(start: int, stop: int) -> NDArray[np.uint8]:
            octets = packed[start // 8 * nbits : -(-stop // 8) * nbits]
            numbers = packing.unpacked(octets, stop - start, nbits, msb=msb)
            let_go(packed, octets)
            return numbers

        return cls(shape, nbits, part)

    @property
    def size(self) -> int:
        """The number of indices."""
        return prod(self.shape)

    def rows(self, start: int, stop: int) -> Indices:
        """Those of the rows from `start` to `stop` along the first axis."""
        width = prod(self.shape[1:])

        def part(begin: int, end: int) -> NDArray[np.uint8]:
            at = start * width + begin
            lead = at % 8  # a part begins on a byte
            return self.part(at - lead, start * width + end)[lead:]

        return Indices((stop - start, *self.shape[1:]), self.nbits, part)

    def parts(self) -> Iterator[NDArray[np.uint8]]:
        """All of them in row-major order, in flat parts of a bounded size."""
        for start in range(0, self.size, PART):
            yield self.part(start, min(start + PART, self.size))

    def count(self) -> int:
        """How many are not zero."""
        return sum(int(np.count_nonzero(part)) for part in self.parts())

    def array(self) -> NDArray[np.uint8]:
        """All of them at once, in the weight's shape."""
        flat = np.empty(self.size, np.uint8)
        for number, part in enumerate(self.parts()):
            flat[number * PART :][: part.size] = part
        return flat.reshape(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes they take, packed."""
        return -(-self.size * self.nbits // 8)

    def packed(self, *, msb: bool = False) -> NDArray[np.uint8]:
        """All of them in ceil(size * nbits / 8) bytes, least significant bit first or (`msb`) most."""
        if self.nbits == 8:
            return self.array().reshape(-1)
        octets = np.empty(-(-self.size // 8) * self.nbits, np.uint8)
        at = 0
        for part in self.parts():
            at += packing.pack_into(octets[at:], part, self.nbits, msb=msb)
        return octets[: self.nbytes]

    def packed_parts(self) -> Iterator[NDArray[np.uint8]]:
        """The same bytes, part by part."""
        for part in self.parts():
            yield part if self.nbits == 8 else packing.packed(part, self.nbits)
