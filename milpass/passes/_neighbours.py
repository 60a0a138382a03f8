"""Neighbouring channels, among which elements are judged."""

from __future__ import annotations

from math import prod

from attrs import frozen

from milpass.granularity import Channels, Granularity, Ungroupable


@frozen(repr=False)
class Neighbours(Granularity):
    """Every `count` neighbours along the `along` ("output" or "input") channels; the last may be fewer.

    [A, B], 4 along axis 0 -> [ceil(A / 4), B]
    """

    count: int
    along: str

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """Those along the channels, and every place along the other axes."""
        axis = channels.output if self.along == "output" else channels.input
        if axis is None:
            raise Ungroupable(channels.why)
        if 2 * self.count > shape[axis]:
            raise Ungroupable(
                f"{self.count} neighbours among {shape[axis]} {self.along} channels: "
                f"there must be {2 * self.count} or more"
            )
        count = -(-shape[axis] // self.count)
        return tuple(count if place == axis else length for place, length in enumerate(shape))


def kept_of_neighbours(shape: tuple[int, ...], groups: tuple[int, ...], n: int, m: int) -> int:
    """How many elements stay where n of every m go; missing neighbours of the last ones go first."""
    length, count = _length_and_count(shape, groups)
    missing = count * m - length
    gone = n * count - min(n, missing)
    return prod(shape) // length * (length - gone)


def kept_of_blocks(shape: tuple[int, ...], groups: tuple[int, ...], size: int, gone: int) -> int | None:
    """How many elements stay where at most `gone` go in blocks; None where the last blocks are smaller."""
    length, _ = _length_and_count(shape, groups)
    return None if length % size else prod(shape) - gone // size * size


def _length_and_count(shape: tuple[int, ...], groups: tuple[int, ...]) -> tuple[int, int]:
    """The channels along which neighbours lie, and the number of groups of them."""
    several = (pair for pair in zip(shape, groups, strict=True) if pair[0] != pair[1])
    return next(several, (shape[0], groups[0]))  # neighbours of one lie along any axis
