"""What a chain of fits asks of a format: bits, groups and shapes, told before any weight is read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Protocol

from attrs import evolve, field, frozen

from milpass.granularity import Channels, Granularity, PerChannel, PerTensor, Ungroupable
from milpass.weight import ITEMSIZES, Weight


class Fit(Protocol):
    """What a fit pass records: which encoding, by which mode, in how many bits, for which groups."""

    @property
    def encoding(self) -> str:
        """The kind of encoding."""

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
    `vector` how many values an index stands for, `has_offset` whether scales come with offsets, `has_bias`
    whether with biases of the weight's type, `kept` how many values stay where not all do (None: the data
    tell), and `axis` that of the weight's output channels (None where nothing tells).  `rounds_inputs` says
    that who reads the weight is to round its other input, too, and `uses` who that is: operation.input.
    """

    encoding: str
    nbits: int | None
    shape: tuple[int, ...]
    groups: tuple[int, ...]
    vector: int = 1
    has_offset: bool = False
    kept: int | None = None
    axis: int | None = field(default=None, eq=False)
    has_bias: bool = False
    rounds_inputs: bool = False
    uses: frozenset[str] = field(default=frozenset(), eq=False)

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)

    @property
    def tables(self) -> tuple[int, ...] | None:
        """The shape of a look-up table's values, None where the data tell it."""
        return None if self.nbits is None else (*self.groups, 1 << self.nbits, self.vector)


@frozen
class Found:
    """How a weight is compressed in the model already: a fit whose numbers are there."""

    encoding: str
    mode: ClassVar[str] = "found"
    nbits: ClassVar[None] = None
    granularity: ClassVar[Granularity] = PerTensor()
    inside: ClassVar[None] = None


# Operations that store a weight -> the encoding that each is.
ENCODINGS: dict[str, str] = {
    "constexpr_lut_to_dense": "lut",
    "constexpr_affine_dequantize": "affine",
    "constexpr_blockwise_shift_scale": "affine",
    "constexpr_sparse_to_dense": "sparse",
    "constexpr_cast": "cast",
    "constexpr_lut_to_sparse": "lut",
    "constexpr_sparse_blockwise_shift_scale": "affine",
    "lookupTableQuantization": "lut",
    "linearQuantization": "affine",
    "float16Value": "cast",
    "int8RawValue": "affine",
}


def found(weight: Weight) -> tuple[Found, ...]:
    """How a weight is compressed, outermost first; empty where it is not, or by operations not known."""
    ops = (weight.encoded, *weight.nested) if weight.encoded else ()
    return tuple(Found(ENCODINGS[op]) for op in ops) if ENCODINGS.keys() >= set(ops) else ()


def are_found(fits: Sequence[Fit]) -> bool:
    """Whether a chain is but what a model has already: nothing of it is fitted anew."""
    return all(isinstance(fit, Found) for fit in fits)


def links(weight: Weight, fits: Sequence[Fit]) -> tuple[Link, ...]:
    """The chain that fits ask for; raises `granularity.Ungroupable` where a weight has no such groups."""
    chain: list[Link] = []
    for fit in fits:
        if chain and chain[-1].encoding == "lut":
            tables = chain[-1].tables
            groups = groups_of_tables(fit.granularity, tables) if tables else ()
            chain.append(_link(fit, tables or (), groups))
        else:
            chain += _scaled(fit, weight)
            groups = fit.granularity.groups(weight.shape, weight.channels)
            vector_axis(fit, weight.shape, groups, weight.channels)
            uses = frozenset(f"{reader.op_type}.{reader.input}" for reader in weight.readers)
            link = _link(fit, weight.shape, groups)
            chain.append(evolve(link, axis=weight.channels.output, uses=uses))
    return tuple(chain)


def _scaled(fit: Fit, weight: Weight) -> list[Link]:
    """A scale for each output channel, where a fit asks for it and its groups are not the channels."""
    if not getattr(fit, "per_channel_scale", False):
        return []
    channels = PerChannel().groups(weight.shape, weight.channels)
    if fit.granularity.groups(weight.shape, weight.channels) == channels:
        return []
    return [Link("affine", None, weight.shape, channels)]


def _link(fit: Fit, shape: tuple[int, ...], groups: tuple[int, ...]) -> Link:
    kept = getattr(fit, "kept", None)
    return Link(
        fit.encoding,
        fit.nbits,
        shape,
        groups,
        getattr(fit, "cluster_dim", 1),
        getattr(fit, "has_offset", False),
        kept(shape, groups) if kept else None,
        rounds_inputs=getattr(fit, "rounds_inputs", False),
    )


def vector_axis(fit: Fit, shape: tuple[int, ...], groups: tuple[int, ...], channels: Channels) -> int | None:
    """The axis along which a fit has vectors, that of the output channels; None where it has scalars.

    Raises `Ungroupable` where vectors do not divide it, or each group's part of it.
    """
    length = getattr(fit, "cluster_dim", 1)
    if length == 1:
        return None
    if channels.output is None:
        raise Ungroupable(channels.why)
    axis = channels.output
    part = shape[axis] // groups[axis]
    if part % length:
        raise Ungroupable(f"vectors of {length} do not divide {part} neighbouring channels of axis {axis}")
    return axis


def groups_of_tables(granularity: Granularity, tables: tuple[int, ...]) -> tuple[int, ...]:
    """The groups of what is nested in tables of a shape: all of them are one, or each is."""
    return (1,) * len(tables) if isinstance(granularity, PerTensor) else (*tables[:-2], 1, 1)


def stored_bytes(chain: Sequence[Link], weight: Weight) -> int | None:
    """The bytes that a chain takes in the file, without alignment; None where the data tell.

    A format may store more, see `Dialect.stored_bytes`; zeros of a pruned weight that it had before are
    counted as if they were stored.
    """
    return _bytes(chain, weight.size, 8 * ITEMSIZES[weight.dtype], ITEMSIZES[weight.dtype])


def _bytes(chain: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    """Of `count` values of so many bits where none of the chain is left; `itemsize` is the weight's."""
    if not chain:
        return -(-count * bits // 8)
    return _SIZES[chain[0].encoding](chain[0], chain[1:], count, bits, itemsize)


def _lut_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    if link.nbits is None or link.tables is None:
        return None
    tables = _bytes(rest, prod(link.tables), max(bits, 8), itemsize)  # no entry is narrower than a byte
    return None if tables is None else -(-count // link.vector * link.nbits // 8) + tables


def _affine_bytes(link: Link, rest: Sequence[Link], count: int, bits: int, itemsize: int) -> int | None:
    nbits = link.nbits or bits
    data, parameters = _bytes(rest, count, nbits, itemsize), prod(link.groups)
    width = max(nbits, 8) if rest else nbits  # offsets have the type of the table's entries
    offsets = -(-parameters * width // 8) if link.has_offset else 0
    if link.has_bias:
        offsets = parameters * itemsize
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
