"""The kernels of whole numbers, compiled and as plain Python, against twins in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import both_ways
from tests.strategies import quick

QUICK = quick(max_examples=80, derandomize=True)
CODES = [(-128, 127), (-127, 127), (0, 255), (-8, 7), (-7, 7), (0, 15), (1, 15), (-2, 1), (0, 3)]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)


run = both_ways("quantization", "halves")


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    """Values, a scale and a zero point for each row, and the range of codes.

    Among the values are many that lie in the middle between two numbers, and past either end.
    """
    low, high = draw(st.sampled_from(CODES))
    count, length = draw(SHAPES)
    scales = draw(hnp.arrays(np.float64, count, elements=st.sampled_from([0.25, 1.0, 2.0**-149, 0.1, 3e30])))
    zeros = draw(hnp.arrays(np.float64, count, elements=st.integers(low, high).map(float)))
    halves = draw(hnp.arrays(np.int64, (count, length), elements=st.integers(-600, 600)))
    values = (halves * scales[:, None] / 2).astype(np.float32)
    odd = draw(hnp.arrays(np.float32, (count, length), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
    values = np.where(draw(hnp.arrays(np.bool_, (count, length))), values, odd)
    return values, scales, zeros, low, high


def numbers_of(values: np.ndarray, scales: np.ndarray, zeros: np.ndarray, low: int, high: int) -> np.ndarray:
    """The nearest whole numbers, of two the even one, that codes less their zero point can be."""
    with np.errstate(over="ignore"):
        numbers = np.rint(values.astype(np.float64) / scales[:, None])
    return np.clip(numbers, low - zeros[:, None], high - zeros[:, None])


@pytest.mark.parametrize("start", [0, 0x7C01 - 80, 0x8000, 0xFC01 - 80])
def test_widen(run: Callable[..., None], start: int) -> None:
    patterns = np.roll(np.arange(start, start + 80, dtype=np.uint16), 7)
    floats = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.empty(80, np.float32)
    run("quantization.widen", patterns, floats, values)
    assert values.tobytes() == patterns.view(np.float16).astype(np.float32).tobytes()


@QUICK
@given(drawn=rows())
def test_quantize(run: Callable[..., None], drawn: Any) -> None:
    values, _, zeros, low, _ = drawn
    codes = np.empty(values.shape, np.uint8)
    run("quantization.quantize", *drawn, codes)
    assert np.array_equal(codes, numbers_of(*drawn) + zeros[:, None] - low)


@pytest.mark.parametrize(
    ("values", "zero", "low", "high", "expected"),
    [
        ([0.5, 1.5, 2.5, -0.5, -1.5], 0, -8, 7, [8, 10, 10, 8, 6]),  # of two the even number
        ([7.5, 100, -8.5, -100, 7.4], 0, -8, 7, [15, 15, 0, 0, 15]),
        ([0, 1, 5, -11, -12], 3, -8, 7, [11, 12, 15, 0, 0]),
        ([0, 255, 256, -1, 127.5], 0, 0, 255, [0, 255, 255, 0, 128]),
        ([0, 127, -127, -128, 1e30], 0, -127, 127, [127, 254, 0, 0, 254]),
    ],
)
def test_quantize_by_hand(
    run: Callable[..., None], values: list[float], zero: int, low: int, high: int, expected: list[int]
) -> None:
    codes = np.empty((2, 5), np.uint8)
    array = np.array([values, np.multiply(values, 4)], np.float32)
    run("quantization.quantize", array, np.array([1.0, 4.0]), np.full(2, float(zero)), low, high, codes)
    assert codes.tolist() == [expected, expected]


@QUICK
@given(drawn=rows(), seed=st.integers(0, 1 << 30))
def test_compare(run: Callable[..., None], drawn: Any, seed: int) -> None:
    values, _, _, low, high = drawn
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, high - low + 1, values.shape).astype(np.uint8)
    seen = rng.standard_normal((len(values), high - low + 1)).astype(np.float32)
    errors = np.empty((len(values), 3))
    run("quantization.compare", values, codes, seen, errors)
    wide = values.astype(np.float64)
    off = np.abs(wide - np.take_along_axis(seen, codes.astype(np.intp), axis=1))
    assert np.array_equal(errors[:, 1], np.square(off).max(axis=1))
    np.testing.assert_allclose(errors[:, 0], np.square(off).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(errors[:, 2], np.square(wide).sum(axis=1), rtol=1e-13)


@QUICK
@given(drawn=rows(), seed=st.integers(0, 1 << 30))
def test_errors_of_numbers_with_a_bias(run: Callable[..., None], drawn: Any, seed: int) -> None:
    values, _, _, low, high = drawn
    scales, biases = np.random.default_rng(seed).standard_normal((2, len(values))).astype(np.float32)
    codes, errors = np.zeros(values.shape, np.uint8), np.empty((len(values), 3))
    run("quantization.quantize_biased", values, scales, biases, float(high - low), codes, errors)
    seen = scales[:, None] * codes.astype(np.float32) + biases[:, None]
    wide = values.astype(np.float64)
    off = np.abs(wide - seen)
    near = 4 * np.finfo(np.float32).eps * (np.abs(seen).max() + np.abs(biases).max())  # of a fused step
    np.testing.assert_allclose(np.sqrt(errors[:, 1]), off.max(axis=1), rtol=1e-12, atol=near)
    np.testing.assert_allclose(
        np.sqrt(errors[:, 0]), np.sqrt(np.square(off).sum(axis=1)), rtol=1e-12, atol=near * values.shape[1]
    )
    np.testing.assert_allclose(errors[:, 2], np.square(wide).sum(axis=1), rtol=1e-13)


def test_compare_finds_errors_of_either_sign(run: Callable[..., None]) -> None:
    errors = np.empty((2, 3))
    values = np.array([[1, 2], [-3, 0]], np.float32)
    codes, seen = np.array([[0, 1], [1, 1]], np.uint8), np.array([[4, 2.5], [9, -1]], np.float32)
    run("quantization.compare", values, codes, seen, errors)
    assert errors.tolist() == [[9.25, 9.0, 5.0], [5.0, 4.0, 9.0]]


@QUICK
@given(drawn=rows())
def test_assess(run: Callable[..., None], drawn: Any) -> None:
    values, scales, *_ = drawn
    sums = np.empty((len(values), 3))
    run("quantization.assess", *drawn, sums)
    wide, numbers = values.astype(np.float64), numbers_of(*drawn)
    products = wide * numbers
    np.testing.assert_allclose(
        sums[:, 0], np.square(wide - scales[:, None] * numbers).sum(axis=1), rtol=1e-13
    )
    assert (np.abs(sums[:, 1] - products.sum(axis=1)) <= 1e-14 * np.abs(products).sum(axis=1)).all()
    assert np.array_equal(sums[:, 2], np.square(numbers).sum(axis=1))


def test_assess_gives_the_best_scale_for_its_numbers(run: Callable[..., None]) -> None:
    values = np.random.default_rng(3).standard_normal((3, 40)).astype(np.float32)
    scales, zeros, sums = np.array([0.3, 0.2, 0.5]), np.zeros(3), np.empty((3, 3))
    run("quantization.assess", values, scales, zeros, -8, 7, sums)
    numbers = numbers_of(values, scales, zeros, -8, 7)
    for row, (_, first, second) in enumerate(sums):
        best, *_ = np.linalg.lstsq(numbers[row][:, None], values[row].astype(np.float64), rcond=None)
        assert first / second == pytest.approx(best[0], rel=1e-12)


@QUICK
@given(hnp.arrays(np.uint32, st.integers(0, 40), elements=st.integers(0, 0xFFFFFFFF)))
def test_halves_are_those_of_numpy(run, bits):
    """All signs, exponents and fractions, ties among them, but for what overflows fp16."""
    ties = (bits & 0xFFFFE000) | 0x1000
    bits = np.concatenate(
        [bits, ties, bits >> 4, [0, 1 << 31, 0x33000000, 0x33000001, 0x38800000, 0x387FF000]]
    )
    bits = bits.astype(np.uint32)[np.abs(bits.astype(np.uint32).view(np.float32)) < 65520]
    values, halves, sums = bits.view(np.float32), np.zeros(bits.size, np.uint16), np.zeros(3)
    reals = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    run("halves.round_off", values, bits, reals, halves, sums)
    expected = values.astype(np.float16)
    assert np.array_equal(halves, expected.view(np.uint16))
    errors = values.astype(np.float64) - expected
    assert sums[0] == pytest.approx(np.square(errors).sum())
    assert sums[1] == np.square(errors).max()
    assert sums[2] == pytest.approx(np.square(values.astype(np.float64)).sum())
