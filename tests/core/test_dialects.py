"""How formats spell encodings: what they write they read, and what they cannot say they refuse in words."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given

from milpass.dialects import DIALECTS
from milpass.dialects.ios16 import IOS16
from milpass.dialects.ios18 import IOS18
from milpass.encodings import Encoding, Lut
from milpass.links import Link, links, stored_bytes
from milpass.passes import fit_lut
from milpass.records import Record, Value
from milpass.testing.strategies.encodings import encodings, flat_luts, grouped_luts
from milpass.weight import Key, Source, Weight
from tests.encodings import packed_by_numpy
from tests.strategies import quick

FEW = quick(max_examples=100, derandomize=True)
LEGAL = {"iOS16": (1, 2, 4, 6, 8), "iOS17": (1, 2, 4, 6, 8), "iOS18": (1, 2, 3, 4, 6, 8)}
LEGAL["iOS26"] = LEGAL["iOS18"]
NAMES = {"float16": "fp16", "float32": "fp32"}


@FEW
@given(encodings("iOS16"))
def test_ios16_reads_what_it_spells(encoding: Encoding) -> None:
    assert IOS16.read(IOS16.spell(encoding)) == encoding


@FEW
@given(encodings("iOS18"))
def test_ios18_reads_what_it_spells(encoding: Encoding) -> None:
    assert IOS18.read(IOS18.spell(encoding)) == encoding


@FEW
@given(encodings("iOS16"))
def test_what_ios16_holds_ios18_can_hold(encoding: Encoding) -> None:
    respelled = IOS18.read(IOS18.spell(IOS16.read(IOS16.spell(encoding))))
    assert respelled.decode().tobytes() == encoding.decode().tobytes()


@FEW
@given(flat_luts(LEGAL["iOS16"]))
def test_ios16_spells_a_table_as_the_format_defines(encoding: Lut) -> None:
    record = IOS16.spell(encoding)
    table, indices = encoding.inner.decode(), encoding.indices.array()
    dtype = NAMES[table.dtype.name]
    assert (record.op_type, record.placement) == ("constexpr_lut_to_dense", "attributes")
    assert (record.dtype, record.shape) == (dtype, indices.shape)
    packed = packed_by_numpy(indices, encoding.indices.nbits)
    expected = {"indices": ("uint8", packed), "lut": (dtype, table.reshape(-1))}
    expected["shape"] = ("uint32", np.array(indices.shape, np.uint32))
    assert_operands(record, {name: (kind, data.shape, data) for name, (kind, data) in expected.items()})


@FEW
@given(grouped_luts())
def test_ios18_spells_tables_as_the_format_defines(encoding: Lut) -> None:
    record = IOS18.spell(encoding)
    table, indices, nbits = encoding.inner.decode(), encoding.indices.array(), encoding.indices.nbits
    dtype = NAMES.get(table.dtype.name, table.dtype.name)
    assert (record.op_type, record.placement) == ("constexpr_lut_to_dense", "inputs")
    assert (record.dtype, record.shape) == (dtype, encoding.shape)
    expected = {
        "indices": (f"uint{nbits}", indices.shape, packed_by_numpy(indices, nbits)),
        "lut": (dtype, table.shape, table),
    }
    if encoding.vector_axis is not None:
        expected["vector_axis"] = ("int32", (), np.array(encoding.vector_axis, np.int32))
    assert_operands(record, expected)


def assert_operands(record: Record, expected: dict[str, tuple[str, tuple[int, ...], np.ndarray]]) -> None:
    assert set(record.operands) == set(expected)
    for name, (kind, shape, data) in expected.items():
        value = record.operands[name]
        assert isinstance(value, Value) and (value.dtype, value.shape) == (kind, shape)
        assert value.data.dtype == data.dtype and value.data.tobytes() == data.tobytes()


@pytest.mark.parametrize("name", LEGAL)
@FEW
@given(encoding=flat_luts(LEGAL["iOS16"]))
def test_bytes_of_indices_and_table_are_predicted(name: str, encoding: Lut) -> None:
    operands = DIALECTS[name].spell(encoding).operands
    assert stored_bytes(links(weight_of(encoding), [fit_of(encoding)]), weight_of(encoding)) == sum(
        operands[each].nbytes for each in ("indices", "lut")
    )


@pytest.mark.parametrize("nbits", range(1, 9))
@pytest.mark.parametrize("name", LEGAL)
def test_bits_that_a_format_cannot_say_are_refused_in_words(name: str, nbits: int) -> None:
    refusal = DIALECTS[name].refuse([link("lut", nbits)])
    legal = ", ".join(map(str, LEGAL[name]))
    assert refusal == (None if nbits in LEGAL[name] else f"{name} has no lut of {nbits} bits: {legal}")


@pytest.mark.parametrize("name", DIALECTS)
def test_bits_that_the_data_tell_are_not_refused_before(name: str) -> None:
    assert DIALECTS[name].refuse([link("lut", None)]) is None


@pytest.mark.parametrize("name", ["iOS18", "iOS26"])
def test_vectors_under_a_mask_are_refused_in_words(name: str) -> None:
    mask, vectors = link("sparse", None), Link("lut", 4, (8, 4), (1, 1), vector=2)
    assert DIALECTS[name].refuse([mask, vectors]) == f"{name} has no sparse tables of vectors"
    assert DIALECTS[name].refuse([vectors]) is None and DIALECTS[name].refuse([mask, link("lut", 4)]) is None


KINDS = ("dense", "lut", "affine", "sparse", "cast")
# As coremltools' joint compression writes them, and tables over whole numbers.
NESTED = {
    ("sparse", "lut"),
    ("sparse", "affine"),
    ("lut", "affine"),
    ("affine", "lut"),
    ("sparse", "lut", "affine"),
}


@pytest.mark.parametrize("name", LEGAL)
def test_chains_that_a_format_cannot_say_are_refused_in_words(name: str) -> None:
    for chain in (*product(KINDS, repeat=2), *product(KINDS, repeat=3)):
        refusal = DIALECTS[name].refuse([link(kind, 4 if kind == "lut" else None) for kind in chain])
        legal = chain in NESTED and LEGAL[name] == LEGAL["iOS18"]
        assert refusal == (None if legal else f"{name} has no {' inside '.join(chain[::-1])}")


@pytest.mark.parametrize("name", ["iOS16", "iOS17"])
@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (Link("lut", 4, (8, 4), (8, 1)), "one table for a weight, not 8; iOS18 has several"),
        (Link("lut", 4, (8, 4), (1, 1), vector=2), "no tables of vectors; iOS18 has"),
        (Link("affine", 8, (8, 4), (8, 2)), "scales for a tensor or a channel, not (8, 2) for (8, 4)"),
        (Link("affine", 8, (8, 4), (8, 4)), "scales for a tensor or a channel, not (8, 4) for (8, 4)"),
        (Link("affine", 4, (8, 4), (8, 1)), "no affine of 4 bits: 8"),
    ],
)
def test_groups_that_ios16_cannot_say_are_refused_in_words(name: str, refused: Link, why: str) -> None:
    refusal = DIALECTS[name].refuse([refused])
    assert refusal and refusal.startswith(f"{name} has {why}")
    assert (refused.nbits == 4 and refused.encoding == "affine") or IOS18.refuse([refused]) is None
    assert DIALECTS[name].refuse([Link("affine", 8, (8, 4), (1, 4))]) is None
    assert DIALECTS[name].refuse([Link("affine", 8, (8, 4), (1, 1))]) is None


def link(kind: str, nbits: int | None) -> Link:
    return Link(kind, nbits, (4, 4), (1, 1))


def weight_of(encoding: Encoding) -> Weight:
    dtype = NAMES[encoding.decode().dtype.name]
    return Weight(Key("main", (), "w"), encoding.shape, dtype, Source("", 0))


def fit_of(encoding: Lut) -> fit_lut:
    return fit_lut(nbits=encoding.indices.nbits)


def record_of(packed_bytes: int, entries: int) -> Record:
    operands = {
        "indices": Value("uint8", (packed_bytes,), np.zeros(packed_bytes, np.uint8)),
        "lut": Value("fp16", (entries,), np.zeros(entries, np.float16)),
        "shape": Value("uint32", (2,), np.array([3, 5], np.uint32)),
    }
    return Record("constexpr_lut_to_dense", "attributes", "fp16", (3, 5), operands)


@pytest.mark.parametrize("packed_bytes, entries", [(7, 16), (9, 16), (8, 15), (8, 17), (8, 0), (4, 16)])
def test_ios16_reads_no_table_that_does_not_fit_its_indices(packed_bytes: int, entries: int) -> None:
    assert IOS16.read(record_of(8, 16)).shape == (3, 5)
    with pytest.raises(ValueError, match=f"{entries} entries with {packed_bytes} bytes"):
        IOS16.read(record_of(packed_bytes, entries))


def value(dtype: str, *shape: int) -> Value:
    stored = {"fp16": np.float16, "fp32": np.float32, "int8": np.int8, "int32": np.int32}.get(dtype, np.uint8)
    return Value(dtype, shape, np.zeros(prod(shape), stored))


@pytest.mark.parametrize(
    ("op_type", "operands", "message"),
    [
        (
            "constexpr_lut_to_dense",
            {"indices": value("uint4", 4, 4), "lut": value("fp16", 1, 1, 8, 1)},
            "table of",
        ),
        (
            "constexpr_lut_to_dense",
            {"indices": value("uint4", 4, 4), "lut": value("fp16", 1, 16, 1)},
            "table of",
        ),
        (
            "constexpr_lut_to_dense",
            {"indices": value("uint1", 4, 4), "lut": value("fp16", 3, 1, 2, 1)},
            "shape",
        ),
        (
            "constexpr_lut_to_dense",
            {"indices": value("uint1", 4, 4), "lut": value("fp16", 0, 1, 2, 1)},
            "shape",
        ),
        (
            "constexpr_lut_to_dense",
            {"indices": value("uint1", 4, 4), "lut": value("fp16", 1, 1, 2, 2)},
            "vectors",
        ),
        (
            "constexpr_lut_to_dense",
            {"indices": value("int8", 4), "lut": value("fp16", 1, 2, 1)},
            "indices of int8",
        ),
        ("constexpr_lut_to_dense", {"lut": value("fp16", 1, 2, 1)}, "without a stored operand 'indices'"),
        ("constexpr_blockwise_shift_scale", {"data": value("int8", 4), "scale": value("fp16", 3)}, "shape"),
        (
            "constexpr_blockwise_shift_scale",
            {"data": value("int8", 4), "scale": value("fp16", 2), "offset": value("int8", 4)},
            "offsets of shape",
        ),
        (
            "constexpr_sparse_to_dense",
            {"nonzero_data": value("fp16", 3), "mask": value("uint1", 8)},
            "mask of 0",
        ),
        ("constexpr_lut_to_sparse", {}, "not read yet"),
    ],
)
def test_ios18_reads_nothing_that_contradicts_itself(
    op_type: str, operands: dict[str, Value], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        IOS18.read(Record(op_type, "inputs", "fp16", (4, 4), operands))
