"""Drawn encodings, as each format can spell them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from milpass.encodings import Affine, Cast, Dense, Encoding, Indices, Lut, Sparse

FLOATS: dict[Any, Literal[16, 32]] = {np.float16: 16, np.float32: 32}
SHAPES = hnp.array_shapes(min_dims=1, max_dims=5, max_side=6)


def flat_lut(array: NDArray[Any], table: Any, nbits: int) -> Lut:
    """One table for the whole weight."""
    entries = np.asarray(table).reshape((1,) * array.ndim + (-1, 1))
    return Lut(Indices.of(array, nbits), Dense(entries))


def floats(dtype: Any, shape: Any, *, finite: bool = False) -> st.SearchStrategy[NDArray[Any]]:
    """Arrays of a float type; NaN and infinity among the values unless `finite`."""
    special = not finite
    elements = st.floats(width=FLOATS[dtype], allow_nan=special, allow_infinity=special)
    return hnp.arrays(dtype, shape, elements=elements)


@st.composite
def indices(draw: st.DrawFn, nbits: int, shape: tuple[int, ...]) -> Indices:
    """Indices of `nbits` bits for a weight of a shape."""
    array = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, (1 << nbits) - 1)))
    return Indices.of(array, nbits)


@st.composite
def flat_luts(draw: st.DrawFn, bits: Any) -> Lut:
    """A table of any values, NaN and infinity among them, with indices of any shape."""
    nbits, dtype = draw(st.sampled_from(list(bits))), draw(st.sampled_from(list(FLOATS)))
    table = draw(floats(dtype, 1 << nbits))
    return flat_lut(draw(indices(nbits, draw(SHAPES))).array(), table, nbits)


@st.composite
def grouped_luts(draw: st.DrawFn) -> Lut:
    """Tables for blocks along every axis, of scalars or of vectors along one axis, of floats or of int8."""
    nbits, vector = draw(st.sampled_from([1, 2, 3, 4, 6, 8])), draw(st.integers(1, 3))
    groups, shape = draw(blocks())
    lengths = (*groups, 1 << nbits, vector)
    dtype = draw(st.sampled_from([*FLOATS, np.int8, np.uint8]))
    tables = draw(floats(dtype, lengths) if dtype in FLOATS else hnp.arrays(dtype, lengths))
    axis = None if vector == 1 else draw(st.integers(0, len(shape) - 1))
    return Lut(draw(indices(nbits, shape)), Dense(tables), axis)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of blocks along each axis, and a shape that they divide."""
    groups = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple))
    sizes = draw(st.tuples(*[st.integers(1, 3)] * len(groups)))
    return groups, tuple(count * size for count, size in zip(groups, sizes, strict=True))


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Whole numbers of 4 or 8 bits in blocks, with offsets or without."""
    scales, shape = draw(blocks())
    dtype = draw(st.sampled_from(["int8", "uint8", "int4", "uint4"]))
    data = draw(whole_numbers(dtype, shape))
    scale = draw(floats(draw(st.sampled_from(list(FLOATS))), scales, finite=True))
    offset = draw(st.none() | whole_numbers(dtype, scales))
    return Affine(Dense(data, dtype), scale, offset)


@st.composite
def plain_affines(draw: st.DrawFn) -> Affine:
    """As iOS16 has them: 8 bits, zero points, for the tensor or along one axis."""
    shape = draw(SHAPES)
    dtype = draw(st.sampled_from(["int8", "uint8"]))
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    lengths = tuple(length if place == axis else 1 for place, length in enumerate(shape))
    scale = draw(floats(draw(st.sampled_from(list(FLOATS))), lengths, finite=True))
    numbers = (draw(whole_numbers(dtype, each)) for each in (shape, lengths))
    data, offset = numbers
    return Affine(Dense(data, dtype), scale, offset)


def whole_numbers(dtype: str, shape: Any) -> st.SearchStrategy[NDArray[Any]]:
    """Arrays of a type of 4 or 8 bits, those of 4 in (u)int8."""
    unsigned, bits = dtype.startswith("u"), int(dtype.strip("uint"))
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
    stored = np.uint8 if unsigned else np.int8
    return hnp.arrays(stored, shape, elements=st.integers(low, high))


@st.composite
def sparses(draw: st.DrawFn) -> Sparse:
    """A mask of any shape over values that are zero where it is."""
    mask = draw(indices(1, draw(SHAPES)))
    values = draw(floats(draw(st.sampled_from(list(FLOATS))), mask.shape))
    return Sparse(mask, Dense(np.where(mask.array() != 0, values, values.dtype.type(0))))


casts = SHAPES.flatmap(lambda shape: floats(np.float16, shape)).map(lambda array: Cast(Dense(array), "fp32"))


@st.composite
def quantized_tables(draw: st.DrawFn) -> Lut:
    """Tables whose entries are whole numbers with a scale for all tables or for each."""
    plain = draw(grouped_luts().filter(lambda lut: lut.inner.decode().dtype.kind == "f"))
    tables = plain.inner.shape
    parameters = draw(st.sampled_from([(1,) * len(tables), (*tables[:-2], 1, 1)]))
    return evolve(plain, inner=draw(_affine_of(tables, parameters)))


@st.composite
def palettized_numbers(draw: st.DrawFn) -> Affine:
    """Whole numbers of 8 bits that are stored as tables of them and indices."""
    numbers = draw(grouped_luts().filter(lambda lut: lut.inner.decode().dtype.kind in "iu"))
    outer = draw(_affine_of(numbers.shape, (1,) * len(numbers.shape), numbers.inner.decode().dtype.name))
    return evolve(outer, inner=numbers)


@st.composite
def _affine_of(
    draw: st.DrawFn, shape: tuple[int, ...], parameters: tuple[int, ...], dtype: str | None = None
) -> Affine:
    dtype = dtype or draw(st.sampled_from(["int8", "uint8", "int4", "uint4"]))
    scale = draw(floats(draw(st.sampled_from(list(FLOATS))), parameters, finite=True))
    offset = draw(st.none() | whole_numbers(dtype, parameters))
    return Affine(Dense(draw(whole_numbers(dtype, shape)), dtype), scale, offset)


@st.composite
def joint_sparses(draw: st.DrawFn) -> Sparse:
    """A mask over tables of scalars, or over whole numbers; off the mask indices and numbers are zero."""
    scalars = st.one_of(grouped_luts(), quantized_tables()).filter(
        lambda lut: lut.vector_axis is None and lut.decode().dtype.kind == "f"
    )
    inner = draw(st.one_of(scalars, affines()))
    mask = draw(indices(1, inner.shape))
    if isinstance(inner, Lut):
        kept = Indices.of(inner.indices.array() * mask.array(), inner.indices.nbits)
        return Sparse(mask, evolve(inner, indices=kept))
    assert isinstance(inner.inner, Dense)
    numbers = inner.inner.array * mask.array().astype(inner.inner.array.dtype)
    return Sparse(mask, evolve(inner, inner=Dense(numbers, inner.inner.dtype)))


NESTED: st.SearchStrategy[Encoding] = st.one_of(quantized_tables(), palettized_numbers(), joint_sparses())


@st.composite
def biased_affines(draw: st.DrawFn) -> Affine:
    """As neural networks have them: up to 8 bits, scales and biases for the weight or along one axis."""
    shape, nbits = draw(SHAPES), draw(st.integers(1, 8))
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    lengths = tuple(length if place == axis else 1 for place, length in enumerate(shape))
    scale, bias = (draw(floats(np.float32, lengths, finite=True)) for _ in range(2))
    return Affine(Dense(draw(whole_numbers(f"uint{nbits}", shape)), f"uint{nbits}"), scale, bias=bias)


FORMATS: dict[str, st.SearchStrategy[Encoding]] = {
    "iOS16": st.one_of(flat_luts((1, 2, 4, 6, 8)), plain_affines(), sparses(), casts),
    "iOS18": st.one_of(flat_luts((1, 2, 3, 4, 6, 8)), grouped_luts(), affines(), sparses(), casts, NESTED),
    "NeuralNetwork": st.one_of(
        flat_luts(tuple(range(1, 9))).filter(lambda lut: lut.decode().dtype == np.float32),
        biased_affines(),
        casts,
    ),
}


def encodings(format: str = "iOS18") -> st.SearchStrategy[Encoding]:
    """Encodings of small weights of any shape that a format (such as "iOS16") can spell."""
    return FORMATS[format]
