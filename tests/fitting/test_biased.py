"""Whole numbers with scales and biases, as neural networks have them, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.encodings import Affine, Dense
from milpass.errors import UsageError
from milpass.fitting.affine import linear, linear_symmetric
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.passes import fit_affine
from tests.kernels import both_ways
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
run = both_ways("quantization")
FP32 = st.floats(-(2.0**60), 2.0**60, width=32)
MATRICES = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=FP32)


def fitted(array: np.ndarray, groups: tuple[int, ...], **options: Any) -> FittedWeight:
    fit = fit_affine(**options)
    mode = linear if fit.mode == "linear" else linear_symmetric
    return mode.fit(array, fit, Terms(range(1, 9), groups, has_biases=True))


def parts(found: FittedWeight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    affine = found.encoding
    assert isinstance(affine, Affine) and isinstance(affine.inner, Dense)
    assert affine.offset is None and affine.bias is not None
    return affine.inner.array, affine.scale, affine.bias


@FEW
@given(MATRICES, st.integers(1, 8), st.booleans())
def test_linear_spans_each_channel(array: np.ndarray, nbits: int, per_channel: bool) -> None:
    """Every value is within half a step of what stands for it; the step is the range over the numbers."""
    groups = (len(array), 1) if per_channel else (1, 1)
    found = fitted(array, groups, nbits=nbits)
    numbers, scale, bias = parts(found)
    axes = (1,) if per_channel else (0, 1)
    least, greatest = (f(array.astype(np.float64), axis=axes, keepdims=True) for f in (np.min, np.max))
    step = (greatest - least) / ((1 << nbits) - 1)
    reach = np.maximum(np.abs(least), np.abs(greatest))
    assert numbers.max() < 1 << nbits and np.array_equal(bias, least)
    errors = np.abs(found.encoding.decode().astype(np.float64) - array)
    assert (errors <= step / 2 + 1e-6 * reach + 1e-44).all()
    assert np.array_equal(scale == 0, greatest == least)
    np.testing.assert_allclose(found.quality.squared_error, np.sum(errors**2), rtol=1e-9)
    np.testing.assert_allclose(found.quality.max_error, errors.max(), rtol=1e-9)


@FEW
@given(MATRICES, st.integers(2, 8))
def test_symmetric_keeps_zero(array: np.ndarray, nbits: int) -> None:
    found = fitted(
        np.append(array, np.zeros((len(array), 1), np.float32), 1),
        (len(array), 1),
        nbits=nbits,
        mode="linear_symmetric",
    )
    numbers, scale, bias = parts(found)
    half = 1 << (nbits - 1)
    assert (found.encoding.decode()[:, -1] == 0).all() and (numbers >= 1).all()
    assert np.array_equal(bias, -np.float32(half) * scale)
    reach = np.abs(array).max(axis=1, keepdims=True).astype(np.float64)
    np.testing.assert_allclose(scale, reach / (half - 1), rtol=1e-6, atol=1.5e-45)


@pytest.mark.parametrize("magnitude", [1e-7, 1e-20, 1e-37])
@pytest.mark.parametrize("mode", ["linear", "linear_symmetric"])
def test_no_channel_is_lost_for_being_small(mode: str, magnitude: float) -> None:
    array = (np.random.default_rng(3).standard_normal((4, 50)) * magnitude).astype(np.float32)
    found = fitted(array, (4, 1), mode=mode)
    assert 10 * np.log10(found.quality.signal / found.quality.squared_error) > 35


def test_equal_values_are_a_bias() -> None:
    array = np.full((2, 5), 0.1, np.float32)
    array[1] = -3
    found = fitted(array, (2, 1), nbits=1)
    numbers, scale, _ = parts(found)
    assert not numbers.any() and not scale.any()
    assert np.array_equal(found.encoding.decode(), array) and found.quality.max_error == 0


@FEW
@given(MATRICES, st.integers(1, 8), st.sampled_from(["linear", "linear_symmetric"]))
def test_the_search_for_the_least_error_makes_none_greater(array: np.ndarray, nbits: int, mode: str) -> None:
    if mode == "linear_symmetric" and nbits == 1:
        return
    errors = [
        fitted(array, (1, 1), nbits=nbits, mode=mode, range=span).quality.squared_error
        for span in ("minmax", "mse")
    ]
    scale = max(float(np.square(array.astype(np.float64)).sum()), 1e-300)
    assert errors[1] <= errors[0] + 1e-12 * scale


def test_the_search_finds_a_better_range() -> None:
    array = np.random.default_rng(4).standard_t(4, (8, 200)).astype(np.float32) + np.float32(3)
    for nbits in (2, 3, 4):
        whole, best = (
            fitted(array, (8, 1), nbits=nbits, range=span).quality.squared_error for span in ("minmax", "mse")
        )
        assert best < 0.9 * whole


def test_ranges_that_no_scale_spans_are_refused() -> None:
    array = np.array([[-3e38, 3e38]], np.float32)
    for mode in ("linear", "linear_symmetric"):
        with pytest.raises(NotFittable, match="span more than fp32"):
            fitted(array, (1, 1), mode=mode)
    with pytest.raises(NotFittable):
        fitted(np.array([[np.nan, 1]], np.float32), (1, 1))


def test_symmetric_numbers_have_two_bits_at_least() -> None:
    assert fit_affine(nbits=1).nbits == 1
    with pytest.raises(UsageError, match="from 2 to 8"):
        fit_affine(mode="linear_symmetric", nbits=1)


@FEW
@given(MATRICES, st.integers(1, 8), st.data())
def test_kernels_round_and_sum_as_numpy_does(run: Any, array: np.ndarray, nbits: int, data: Any) -> None:
    rows, high = len(array), float((1 << nbits) - 1)
    scales, biases = (
        data.draw(hnp.arrays(np.float64, rows, elements=st.integers(0, 9).map(float))) for _ in range(2)
    )
    numbers, sums = np.zeros(array.shape, np.uint8), np.zeros((rows, 5))
    narrow = scales.astype(np.float32), biases.astype(np.float32)
    run("quantization.quantize_biased", array, *narrow, high, numbers, np.zeros((rows, 3)))
    run("quantization.assess_biased", array, scales, biases, high, sums)
    wide, scale, bias = array.astype(np.float64), scales[:, None], biases[:, None]
    ratio = (wide - bias) / np.where(scale == 0, 1, scale)
    expected = np.rint(np.clip(ratio, 0, high))
    assert np.array_equal(numbers, np.where(scale == 0, 0, expected))
    errors = wide - (scale * expected + bias)
    twin = [errors**2, wide, expected, wide * expected, expected**2]
    np.testing.assert_allclose(sums, np.stack([each.sum(axis=1) for each in twin], 1), rtol=1e-9, atol=1e-3)
