"""What a chain of fits asks of a format: bits, groups and shapes, told before any weight is read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Protocol

from attrs import frozen

from milpass.granularity import Granularity, PerTensor, Ungroupable
from milpass.weight import ITEMSIZES, Weight


class Fit(Protocol):
    """What a fit pass records: which encoding, by which mode, in how many bits, for which groups."""

    encoding: ClassVar[str]

    @property
    def mode(self) -> str:
        """A mode of the encoding, see `milpass.fitting`."""

    @property
    def nbits(self) -> int | None:
        """Bits an index or a number, None where the data tell or there is no choice."""

    @property
    def granularity(self) -> Granularity:
        """Who shares parameters."""

    @property
    def inside(self) -> str | None:
        """The encoding whose values it encodes in turn, None where it encodes the weight."""


@frozen
class Link:
    """One encoding of a chain that is wanted, outermost first.

    `shape` is that of the values that it encodes, `groups` the number of groups along each axis of it,
    `vector` how many values an index stands for, `has_offset` whether scales come with offsets, and `kept`
    how many values stay where not all do (None: the data tell).
    """

    encoding: str
    nbits: int | None
    shape: tuple[int, ...]
    groups: tuple[int, ...]
    vector: int = 1
    has_offset: bool = False
    kept: int | None = None

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)

    @property
    def tables(self) -> tuple[int, ...] | None:
        """The shape of a look-up table's values, None where the data tell it."""
        return None if self.nbits is None else (*self.groups, 1 << self.nbits, self.vector)


def links(weight: Weight, fits: Sequence[Fit]) -> tuple[Link, ...]:
    """The chain that fits ask for; raises `Ungroupable` where a weight has no such groups."""
    found: list[Link] = []
    for fit in fits:
        shape = _inner_shape(found[-1], weight) if found else weight.shape
        if found and found[-1].encoding == "lut":
            groups = _groups_of_tables(fit.granularity, found[-1].groups)
        else:
            groups = fit.granularity.groups(shape, weight.channels)
        found.append(_link(fit, shape, groups))
    return tuple(found)


def _link(fit: Fit, shape: tuple[int, ...], groups: tuple[int, ...]) -> Link:
    kept = getattr(fit, "kept", None)
    return Link(
        fit.encoding,
        fit.nbits,
        shape,
        groups,
        getattr(fit, "cluster_dim", 1),
        getattr(fit, "has_offset", False),
        kept(shape) if kept else None,
    )


def _inner_shape(outer: Link, weight: Weight) -> tuple[int, ...]:
    """The shape of the values that the next encoding encodes."""
    if outer.encoding != "lut":
        return weight.shape
    if outer.tables is None:
        raise Ungroupable("the number of entries is told by the data, so nothing can be nested in the table")
    return outer.tables


def _groups_of_tables(granularity: Granularity, groups: tuple[int, ...]) -> tuple[int, ...]:
    """A scale for all tables, or for each."""
    return (1,) * (len(groups) + 2) if isinstance(granularity, PerTensor) else (*groups, 1, 1)


def stored_bytes(chain: Sequence[Link], weight: Weight) -> int | None:
    """The bytes that a chain takes in the file, without alignment; None where the data tell."""
    return _bytes(chain, weight.size, 8 * ITEMSIZES[weight.dtype], ITEMSIZES[weight.dtype])


def _bytes(chain: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    """Of `count` values of so many bits where none of the chain is left; `itemsize` is the weight's."""
    if not chain:
        return -(-count * bits // 8)
    return _SIZES[chain[0].encoding](chain[0], chain[1:], count, bits, itemsize)


def _lut_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    if link.nbits is None or link.tables is None:
        return None
    tables = _bytes(rest, prod(link.tables), bits, itemsize)
    return None if tables is None else -(-count // link.vector * link.nbits // 8) + tables


def _affine_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    assert link.nbits is not None
    data, parameters = _bytes(rest, count, link.nbits, itemsize), prod(link.groups)
    offsets = -(-parameters * link.nbits // 8) if link.has_offset else 0
    return None if data is None else data + parameters * itemsize + offsets


def _sparse_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    values = None if link.kept is None else _bytes(rest, link.kept, bits, itemsize)
    return None if values is None else -(-count // 8) + values


def _cast_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    return _bytes(rest, count, 16, itemsize)


def _dense_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    return count * itemsize


# encoding -> the bytes of a link with what is nested in it
_SIZES = {
    "dense": _dense_bytes,
    "lut": _lut_bytes,
    "affine": _affine_bytes,
    "sparse": _sparse_bytes,
    "cast": _cast_bytes,
}
