"""Encodings, their equality, packed indices, and how the iOS16 dialect spells them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.dialects.ios16 import IOS16
from milpass.encodings import Dense, Indices, Lut
from milpass.passes import fit_lut
from milpass.records import Record, Value
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
NBITS = range(1, 9)
LEGAL = (1, 2, 4, 6, 8)
NAMES = {"float16": "fp16", "float32": "fp32"}
SHAPES = hnp.array_shapes(min_dims=1, max_dims=5, max_side=6)
SIZES = [1, 7, 8, 9, 65535, 65536, 65537, 65536 + 811, 3 * 65536 + 5, (1 << 18) + 811]


def drawn_indices(shape, nbits, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << nbits, shape).astype(np.uint8)


def packed_by_numpy(array, nbits):
    """Least significant bit first, the last byte filled up with zeros."""
    bits = np.unpackbits(array.reshape(-1, 1), axis=1, count=nbits, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little")


def lut(array, table, nbits):
    entries = np.asarray(table).reshape((1,) * array.ndim + (-1, 1))
    return Lut(Indices.of(array, nbits), Dense(entries))


@st.composite
def luts(draw, bits=LEGAL):
    """A table of any values, NaN and infinity among them, with indices of any shape."""
    nbits = draw(st.sampled_from(bits))
    dtype, width = draw(st.sampled_from([(np.float16, 16), (np.float32, 32)]))
    table = draw(hnp.arrays(dtype, 1 << nbits, elements=st.floats(width=width)))
    array = draw(hnp.arrays(np.uint8, draw(SHAPES), elements=st.integers(0, (1 << nbits) - 1)))
    return lut(array, table, nbits)


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
    indices = Indices.of(drawn_indices((3, 100_000), 3), 3)
    sizes = [part.size for part in indices.parts()]
    assert sum(sizes) == 300_000 and len(sizes) > 1
    assert all(size % 8 == 0 for size in sizes[:-1]) and max(sizes) <= 1 << 18


def test_dense_decodes_to_its_array():
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    dense = Dense(array)
    assert (dense.kind, dense.shape) == ("dense", (2, 3))
    assert dense.decode() is array


@FEW
@given(luts(bits=NBITS))
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
    this = lut(array, table, 2)
    packed = Indices.unpacked(np.array([0b11100100], np.uint8), (2, 2), 2)
    assert this == lut(array.copy(), table.copy(), 2) == Lut(packed, this.inner)
    assert this != lut(array.reshape(4, 1), table, 2)
    assert this != lut(array[::-1], table, 2)
    assert this != lut(array, table.astype(np.float32), 2)
    assert this != lut(array, np.array([-1.0, -0.0, 0.5, np.nan], np.float16), 2)
    assert this != Lut(Indices.of(array, 3), this.inner)
    assert this != this.inner


@FEW
@given(luts())
def test_ios16_reads_what_it_spells(encoding):
    assert IOS16().read(IOS16().spell(encoding)) == encoding


@FEW
@given(luts())
def test_ios16_spells_what_the_format_defines(encoding):
    record = IOS16().spell(encoding)
    table, indices = encoding.inner.array, encoding.indices.array()
    dtype = NAMES[table.dtype.name]
    assert (record.op_type, record.placement) == ("constexpr_lut_to_dense", "attributes")
    assert (record.dtype, record.shape) == (dtype, indices.shape)
    assert set(record.operands) == {"indices", "lut", "shape"}
    packed = packed_by_numpy(indices, encoding.indices.nbits)
    expected = {"indices": ("uint8", packed), "lut": (dtype, table.reshape(-1))}
    expected["shape"] = ("uint32", np.array(indices.shape, np.uint32))
    for name, (kind, data) in expected.items():
        value = record.operands[name]
        assert (value.dtype, value.shape) == (kind, data.shape)
        assert value.data.dtype == data.dtype and value.data.tobytes() == data.tobytes()


@FEW
@given(luts())
def test_ios16_predicts_the_bytes_of_indices_and_table(encoding):
    operands = IOS16().spell(encoding).operands
    itemsize, size = encoding.inner.array.itemsize, encoding.indices.size
    predicted = IOS16().nbytes([fit_lut(nbits=encoding.indices.nbits)], size, itemsize)
    assert predicted == operands["indices"].nbytes + operands["lut"].nbytes
    assert predicted == len(operands["indices"].data.tobytes()) + len(operands["lut"].data.tobytes())


@pytest.mark.parametrize("nbits", NBITS)
def test_ios16_refuses_in_words_what_it_cannot_say(nbits):
    refusal = IOS16().refuse([fit_lut(nbits=nbits)])
    if nbits in LEGAL:
        assert refusal is None
    else:
        assert refusal == f"iOS16 has no lut of {nbits} bits: 1, 2, 4, 6, 8"


def test_ios16_refuses_chains():
    fit = fit_lut(nbits=4)
    assert "one encoding a weight" in IOS16().refuse([fit, fit])
    assert "one encoding a weight" in IOS16().refuse([])


def record_of(packed_bytes, entries):
    operands = {
        "indices": Value("uint8", (packed_bytes,), np.zeros(packed_bytes, np.uint8)),
        "lut": Value("fp16", (entries,), np.zeros(entries, np.float16)),
        "shape": Value("uint32", (2,), np.array([3, 5], np.uint32)),
    }
    return Record("constexpr_lut_to_dense", "attributes", "fp16", (3, 5), operands)


@pytest.mark.parametrize("packed_bytes, entries", [(7, 16), (9, 16), (8, 15), (8, 17), (8, 0), (4, 16)])
def test_ios16_reads_no_table_that_does_not_fit_its_indices(packed_bytes, entries):
    assert IOS16().read(record_of(8, 16)).shape == (3, 5)
    with pytest.raises(ValueError, match=f"{entries} entries with {packed_bytes} bytes"):
        IOS16().read(record_of(packed_bytes, entries))


def test_ios16_reads_no_other_operation():
    with pytest.raises(ValueError, match="constexpr_sparse_to_dense is not read yet"):
        IOS16().read(Record("constexpr_sparse_to_dense", "attributes", "fp16", (1,), {}))
