"""A weight cut along its first axis: whole groups together, or one group in parts, of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass.fitting.fitted import Terms
from milpass.fitting.rows import split, widened
from milpass.paging import let_go

# Elements of a part.
PART = 1 << 22


@frozen(eq=False)
class Section:
    """Groups `first` to `last` in row-major order, which lie in the rows from `start` to `stop`.

    `height` rows at a time are a part; of several parts each has a piece of every group.
    """

    array: NDArray[Any]
    mask: NDArray[np.bool_] | None
    groups: tuple[int, ...]
    first: int
    last: int
    start: int
    stop: int
    height: int

    def parts(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The rows of each part, and its elements with a row for each group; those off the mask are zero."""
        is_one = self.stop - self.start <= self.height
        for start in range(self.start, self.stop, self.height):
            rows = slice(start, min(start + self.height, self.stop))
            yield rows, self._only if is_one else self._values(rows)
            if self.array.flags.c_contiguous:
                let_go(self.array, self.array[rows])

    @cached_property
    def _only(self) -> NDArray[np.float32]:
        """The only part, kept since several passes go over it."""
        return self._values(slice(self.start, self.stop))

    def _values(self, rows: slice) -> NDArray[np.float32]:
        part = self.array[rows]
        shown = part if self.mask is None else np.where(self.mask[rows], part, part.dtype.type(0))
        return widened(split(shown, self.groups))


def sections(array: NDArray[Any], terms: Terms) -> Iterator[Section]:
    """The sections of a weight of any shape, in the order of their groups."""
    if array.ndim == 0:
        array = array.reshape(1)
    counts = terms.groups or (1,) * array.ndim
    mask = None if terms.mask is None else terms.mask.reshape(array.shape)
    length, beside = array.shape[0] // counts[0], prod(counts[1:])
    height = max(PART // max(array.size // array.shape[0], 1), 1)
    together = max(height // length, 1)
    for first in range(0, counts[0], together):
        last = min(first + together, counts[0])
        yield Section(
            array,
            mask,
            (last - first, *counts[1:]),
            first * beside,
            last * beside,
            first * length,
            last * length,
            height if length > height else (last - first) * length,
        )
