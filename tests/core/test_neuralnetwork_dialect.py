"""How neural networks spell encodings: packed most significant bit first, with scales and biases."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass import packing
from milpass.dialects.neuralnetwork import NEURAL_NETWORK
from milpass.encodings import Affine, Dense, Encoding, Indices
from milpass.links import Link
from milpass.records import Record, Value
from milpass.testing.strategies.encodings import biased_affines, encodings
from tests.strategies import quick

FEW = quick(max_examples=100, derandomize=True)


def packed_by_numpy(array: np.ndarray, nbits: int) -> np.ndarray:
    """Most significant bit first, the last byte filled up with zeros."""
    bits = np.unpackbits(array.reshape(-1, 1).astype(np.uint8), axis=1)[:, 8 - nbits :]
    return np.packbits(bits.reshape(-1))


@FEW
@given(encodings("NeuralNetwork"))
def test_it_reads_what_it_spells(encoding: Encoding) -> None:
    assert NEURAL_NETWORK.read(NEURAL_NETWORK.spell(encoding)) == encoding


@FEW
@given(st.data(), st.integers(1, 8))
def test_numbers_are_packed_most_significant_bit_first(data: st.DataObject, nbits: int) -> None:
    numbers = data.draw(hnp.arrays(np.uint8, st.integers(0, 50), elements=st.integers(0, (1 << nbits) - 1)))
    expected = packed_by_numpy(numbers, nbits)
    assert np.array_equal(packing.packed(numbers, nbits, msb=True), expected)
    assert np.array_equal(packing.unpacked(expected, numbers.size, nbits, msb=True), numbers)
    indices = Indices.unpacked(expected, (numbers.size,), nbits, msb=True)
    assert np.array_equal(indices.array(), numbers)
    assert np.array_equal(indices.packed(msb=True), expected)


@FEW
@given(biased_affines())
def test_scales_and_biases_are_spelled_as_the_format_defines(affine: Affine) -> None:
    assert isinstance(affine.inner, Dense)
    record = NEURAL_NETWORK.spell(affine)
    held = {name: value.data for name, value in record.operands.items() if isinstance(value, Value)}
    nbits = int(held["numberOfBits"][0])
    assert np.array_equal(held["rawValue"], packed_by_numpy(affine.inner.array, nbits))
    with np.errstate(over="ignore", invalid="ignore"):
        decoded = affine.inner.array * affine.scale + affine.bias
    assert decoded.tobytes() == affine.decode().tobytes()
    assert held["scale"].tobytes() == affine.scale.tobytes()
    assert (record.op_type, record.nbytes) == (
        "linearQuantization",
        held["rawValue"].size + 8 * affine.scale.size,
    )


def test_offsets_stay_in_double_precision_until_they_become_a_bias() -> None:
    """An offset of half precision's digits would lose the bias's last bits."""
    scale = np.array([[0.1], [3e-8]], np.float32)
    bias = np.array([[1.7], [-5e-7]], np.float32)
    offset = -bias.astype(np.float64) / scale.astype(np.float64)
    numbers = np.array([[0, 15], [7, 8]], np.uint8)
    spelled = NEURAL_NETWORK.spell(Affine(Dense(numbers, "uint4"), scale, offset))
    assert spelled.operands["bias"].data.tobytes() == bias.tobytes()  # type: ignore[union-attr]
    signed = Affine(Dense(numbers.astype(np.int8) - np.int8(8), "int4"), scale, offset - 8)
    assert NEURAL_NETWORK.read(NEURAL_NETWORK.spell(signed)) == NEURAL_NETWORK.read(spelled)


LEGAL = {"lut": range(1, 9), "affine": range(1, 9)}


@pytest.mark.parametrize("kind", LEGAL)
def test_it_has_one_to_eight_bits(kind: str) -> None:
    for nbits in range(1, 9):
        assert NEURAL_NETWORK.refuse([Link(kind, nbits, (4, 4), (1, 1))]) is None


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (Link("lut", 4, (8, 4), (8, 1)), "one table for a weight, not 8"),
        (Link("lut", 4, (8, 4), (1, 1), vector=2), "no tables of vectors"),
        (Link("affine", 4, (8, 4), (1, 4), axis=0), "scales for a weight or for its output channels"),
        (Link("affine", 4, (8, 4), (8, 2), axis=0), "scales for a weight or for its output channels"),
        (Link("affine", 4, (8, 4), (8, 1)), "scales for a weight or for its output channels"),
        (Link("sparse", None, (8, 4), (1, 1)), "no sparse"),
    ],
)
def test_what_it_cannot_say_is_refused_in_words(link: Link, why: str) -> None:
    refusal = NEURAL_NETWORK.refuse([link])
    assert refusal and refusal.startswith(f"NeuralNetwork has {why}")


def test_scales_lie_along_the_output_channels() -> None:
    assert NEURAL_NETWORK.refuse([Link("affine", 4, (8, 4), (8, 1), axis=0)]) is None
    assert NEURAL_NETWORK.refuse([Link("affine", 4, (8, 4, 1), (1, 4, 1), axis=1)]) is None


def test_nothing_nests() -> None:
    for chain in product(("dense", "lut", "affine", "sparse", "cast"), repeat=2):
        links = [Link(kind, 4, (4, 4), (1, 1)) for kind in chain]
        assert NEURAL_NETWORK.refuse(links) == f"NeuralNetwork has no {chain[1]} inside {chain[0]}"


def value(array: np.ndarray, dtype: str | None = None) -> Value:
    return Value(dtype or array.dtype.name, array.shape, array.reshape(-1))


FLOATS = np.zeros(3, np.float32)
PACKED = {"rawValue": value(np.zeros(8, np.uint8)), "numberOfBits": value(np.array(4, np.int32))}


@pytest.mark.parametrize(
    ("op_type", "operands", "message"),
    [
        ("lookupTableQuantization", {**PACKED, "table": value(FLOATS, "fp32")}, "table of 3 entries"),
        ("linearQuantization", {**PACKED, "scale": value(FLOATS, "fp32"), "bias": value(FLOATS)}, "3 scales"),
        (
            "linearQuantization",
            {**PACKED, "scale": value(FLOATS[:1], "fp32"), "bias": value(FLOATS, "fp32")},
            "1 scales and 3 biases",
        ),
        (
            "lookupTableQuantization",
            {**PACKED, "numberOfBits": value(np.array(9, np.int32)), "table": value(FLOATS, "fp32")},
            "numbers of 9 bits",
        ),
        (
            "lookupTableQuantization",
            {**PACKED, "rawValue": value(np.zeros(7, np.uint8)), "table": value(FLOATS, "fp32")},
            "7 bytes of numbers",
        ),
        ("elsewhere", {}, "not read yet"),
    ],
)
def test_it_reads_nothing_that_contradicts_itself(
    op_type: str, operands: dict[str, Value], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        NEURAL_NETWORK.read(Record(op_type, "attributes", "fp32", (4, 4), operands))
