"""Encodings, their equality, and packed indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milpass.encodings import Affine, Cast, Dense, Indices, Lut, Sparse
from milpass.testing.strategies.encodings import SHAPES, encodings, flat_lut, flat_luts
from tests.encodings import packed_by_numpy
from tests.strategies import EFFORT, quick

FEW = quick(max_examples=60, derandomize=True)
NBITS = range(1, 9)
LARGE = [65535, 65536, 65536 + 811, 3 * 65536 + 5, (1 << 20) + 811] if EFFORT >= 1 else []
SIZES = [1, 7, 8, 9, 65537, *LARGE]


def drawn_indices(shape, nbits, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << nbits, shape).astype(np.uint8)


@pytest.mark.parametrize("nbits", NBITS)
@pytest.mark.parametrize("size", SIZES)
def test_packed_and_unpacked(size, nbits):
    array = drawn_indices(size, nbits, seed=size)
    indices = Indices.of(array, nbits)
    packed = indices.packed()
    assert packed.dtype == np.uint8
    assert np.array_equal(packed, packed_by_numpy(array, nbits))
    assert np.array_equal(indices.array(), array)
    unpacked = Indices.unpacked(packed, (size,), nbits)
    assert np.array_equal(unpacked.array(), array)
    assert np.array_equal(unpacked.packed(), packed)


@FEW
@given(SHAPES, st.sampled_from(NBITS), st.integers(0, 99))
def test_indices_of_any_shape(shape, nbits, seed):
    array = drawn_indices(shape, nbits, seed)
    for given_array in (array, np.asfortranarray(array)):
        indices = Indices.of(given_array, nbits)
        assert (indices.shape, indices.size) == (shape, array.size)
        assert np.array_equal(indices.array(), array)
        assert np.array_equal(indices.packed(), packed_by_numpy(array, nbits))
    unpacked = Indices.unpacked(packed_by_numpy(array, nbits), shape, nbits)
    assert (unpacked.shape, unpacked.nbits) == (shape, nbits)
    assert np.array_equal(unpacked.array(), array)


def test_indices_that_start_at_an_odd_address():
    array = drawn_indices(8 * 9 + 1, 3)[1:]
    assert np.array_equal(Indices.of(array, 3).packed(), packed_by_numpy(array, 3))


def test_parts_are_bounded_and_begin_on_whole_bytes():
    indices = Indices.of(drawn_indices((3, 500_000), 3), 3)
    sizes = [part.size for part in indices.parts()]
    assert sum(sizes) == 1_500_000 and len(sizes) > 1
    assert all(size % 8 == 0 for size in sizes[:-1]) and max(sizes) <= 1 << 20


def test_dense_decodes_to_its_array():
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    dense = Dense(array)
    assert (dense.kind, dense.shape) == ("dense", (2, 3))
    assert dense.decode() is array


@FEW
@given(flat_luts(NBITS))
def test_lut_decodes_each_index_to_its_entry(encoding):
    entries, indices = encoding.inner.array.reshape(-1), encoding.indices.array()
    expected = np.array([entries[i] for i in indices.reshape(-1)], entries.dtype).reshape(indices.shape)
    decoded = encoding.decode()
    assert (decoded.dtype, decoded.shape, encoding.shape) == (entries.dtype, indices.shape, indices.shape)
    assert decoded.tobytes() == expected.tobytes()


def test_dense_is_equal_by_its_bits():
    nan = np.array([np.nan, 1.0], np.float32)
    assert Dense(nan) == Dense(nan.copy())
    assert Dense(np.array([0.0])) != Dense(np.array([-0.0]))
    assert Dense(nan) != Dense(nan.reshape(1, 2))
    assert Dense(np.zeros(2, np.float32)) != Dense(np.zeros(2, np.int32))
    other_nan = (nan.view(np.uint32) | np.array([1, 0], np.uint32)).view(np.float32)
    assert np.isnan(other_nan[0]) and Dense(nan) != Dense(other_nan)


def test_lut_is_equal_by_indices_bits_and_table():
    array, table = np.array([[0, 1], [2, 3]], np.uint8), np.array([-1.0, 0.0, 0.5, np.nan], np.float16)
    this = flat_lut(array, table, 2)
    packed = Indices.unpacked(np.array([0b11100100], np.uint8), (2, 2), 2)
    assert this == flat_lut(array.copy(), table.copy(), 2) == Lut(packed, this.inner)
    assert this != flat_lut(array.reshape(4, 1), table, 2)
    assert this != flat_lut(array[::-1], table, 2)
    assert this != flat_lut(array, table.astype(np.float32), 2)
    assert this != flat_lut(array, np.array([-1.0, -0.0, 0.5, np.nan], np.float16), 2)
    assert this != Lut(Indices.of(array, 3), this.inner)
    assert this != this.inner


def test_groups_have_tables_of_their_own():
    """Four rows in two groups of two tables: written out by hand."""
    indices = Indices.of(np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0]], np.uint8), 1)
    tables = np.array([[10, 11], [20, 21]], np.float32).reshape(2, 1, 2, 1)
    decoded = Lut(indices, Dense(tables)).decode()
    assert decoded.tolist() == [[10, 11, 11], [11, 10, 10], [20, 20, 21], [21, 21, 20]]


def test_vectors_lie_along_their_axis():
    """The cases that Core ML's operation definition gives for two axes."""
    indices = Indices.of(np.array([[[0, 0], [1, 0]], [[1, 1], [0, 0]]], np.uint8), 1)
    tables = Dense(np.array([[1, 2, 3], [4, 5, 6]], np.float32).reshape(1, 1, 1, 2, 3))
    along_1 = Lut(indices, tables, vector_axis=1)
    assert along_1.shape == (2, 6, 2)
    assert along_1.decode()[0].tolist() == [[1, 1], [2, 2], [3, 3], [4, 1], [5, 2], [6, 3]]
    along_2 = Lut(indices, tables, vector_axis=2)
    assert along_2.decode()[1].tolist() == [[4, 5, 6, 4, 5, 6], [1, 2, 3, 1, 2, 3]]


def test_affine_scales_each_block():
    inner = Dense(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.int8))
    scale, offset = np.array([[2, 10]], np.float16), np.array([[1, 3]], np.int8)
    assert Affine(inner, scale, offset).decode().tolist() == [[0, 2, 0, 10], [8, 10, 40, 50]]
    assert Affine(inner, scale).decode().dtype == np.float16
    with_offset = Affine(inner, scale, offset)
    assert with_offset == Affine(inner, scale.copy(), offset.copy()) != Affine(inner, scale)


def test_sparse_is_zero_off_the_mask():
    mask = Indices.of(np.array([[1, 0], [0, 1]], np.uint8), 1)
    sparse = Sparse(mask, Dense(np.array([[1.5, np.nan], [np.inf, -2]], np.float32)))
    assert sparse.decode().tolist() == [[1.5, 0], [0, -2]] and sparse.shape == (2, 2)


def test_cast_gives_the_other_type():
    inner = Dense(np.array([0.1, 65504], np.float16))
    decoded = Cast(inner, "fp32").decode()
    assert decoded.dtype == np.float32 and decoded.tolist() == inner.array.astype(np.float32).tolist()


@FEW
@given(encodings(), st.data())
def test_rows_are_a_part_of_the_whole(encoding, data):
    whole, steps = encoding.decode(), encoding.shape[0] // encoding.step
    first = data.draw(st.integers(0, steps - 1))
    last = data.draw(st.integers(first + 1, steps))
    part = encoding.rows(first * encoding.step, last * encoding.step)
    assert part.shape[0] == (last - first) * encoding.step
    expected = whole[first * encoding.step : last * encoding.step]
    assert part.decode().tobytes() == np.ascontiguousarray(expected).tobytes()
