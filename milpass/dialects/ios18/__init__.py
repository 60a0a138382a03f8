"""The constexpr operations of Core ML's iOS18 opset, which nest.

Source: `compression` of coremltools' iOS18 operation definitions.
"""

from __future__ import annotations

from attrs import evolve

from milpass.dialects.base import Dialect
from milpass.dialects.ios18.dense import (
    read_affine,
    read_as_ios16,
    read_lut,
    spell_affine,
    spell_cast_as_inputs,
    spell_lut,
)
from milpass.dialects.ios18.sparse import read_sparse, spell_sparse
from milpass.dialects.values import spell_dense
from milpass.links import Link

# encoding -> the numbers of bits that the format can say
LEGAL: dict[str, tuple[int, ...]] = {
    "dense": (),
    "lut": (1, 2, 3, 4, 6, 8),
    "affine": (4, 8),
    "sparse": (),
    "cast": (),
}

# Chains of more than one encoding, outermost first.
NESTS = frozenset(
    {
        ("sparse", "lut"),
        ("sparse", "affine"),
        ("lut", "affine"),
        ("affine", "lut"),
        ("sparse", "lut", "affine"),
    }
)


def _scalars_under_a_mask(outer: Link, inner: Link) -> str | None:
    """A mask is of single elements here; that of vectors would have to be told by them."""
    return "no sparse tables of vectors" if outer.encoding == "sparse" and inner.vector > 1 else None


IOS18 = Dialect(
    "iOS18",
    spells={
        "dense": spell_dense,
        "lut": spell_lut,
        "affine": spell_affine,
        "sparse": spell_sparse,
        "cast": spell_cast_as_inputs,
    },
    reads={
        "constexpr_lut_to_dense": read_lut,
        "constexpr_blockwise_shift_scale": read_affine,
        "constexpr_affine_dequantize": read_as_ios16,
        "constexpr_sparse_to_dense": read_sparse,
        "constexpr_cast": read_as_ios16,
    },
    legal=LEGAL,
    nests=NESTS,
    joints=(_scalars_under_a_mask,),
)
IOS26 = evolve(IOS18, name="iOS26")
