"""Half precision: every value rounded as numpy rounds it, or the weight left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.encodings import Cast
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from tests.strategies import quick

LEAST_THAT_OVERFLOWS = np.float32(65520)


def fit(array: np.ndarray) -> FittedWeight:
    return mode_of("cast", "fp16").fit(array, None, Terms(()))


@quick(max_examples=40)
@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3), elements=st.floats(-65504, 65504, width=32)))
def test_values_are_rounded_and_measured(array: np.ndarray) -> None:
    found, short = fit(array), array.astype(np.float16)
    assert isinstance(found.encoding, Cast)
    assert found.encoding.inner.decode().tobytes() == short.tobytes()
    errors = array.astype(np.float64) - short
    assert found.quality.squared_error == pytest.approx(np.square(errors).sum())
    assert found.quality.max_error == pytest.approx(np.abs(errors).max())
    assert found.quality.signal == pytest.approx(np.square(array.astype(np.float64)).sum())


def test_many_parts_are_one_weight() -> None:
    array = np.random.default_rng(3).standard_normal((1000, 201)).astype(np.float32)
    found, short = fit(array), array.astype(np.float16)
    assert (found.encoding.inner.decode() == short).all()  # type: ignore[attr-defined]
    squared = np.square(array.astype(np.float64) - short).sum()
    assert found.quality.squared_error == pytest.approx(squared)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_overflows_is_told(sign: int) -> None:
    below = sign * np.nextafter(LEAST_THAT_OVERFLOWS, np.float32(0))
    assert np.isfinite(below.astype(np.float16))
    assert np.isfinite(fit(np.full((2, 3), below)).encoding.decode()).all()
    array = np.zeros((400, 500), np.float32)
    array[390, 7] = array[399, 499] = sign * LEAST_THAT_OVERFLOWS
    with pytest.raises(NotFittable, match=r"2 of 200000 elements overflow fp16, the first at \[390, 7\]"):
        fit(array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told(value: float) -> None:
    array = np.full((400, 500), 1e5, np.float32)
    array[399, 1] = value
    with pytest.raises(NotFittable) as refusal:
        fit(array)
    assert "overflow" not in str(refusal.value) and "399" in str(refusal.value)
