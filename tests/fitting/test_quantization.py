"""Fits of whole numbers, against every code they could have chosen and a twin that decodes in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.encodings import Affine
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.fitting.numbers import sections
from milpass.fitting.rows import split
from milpass.passes import fit_affine
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32])
MODES = ("linear", "linear_symmetric")
KINDS = [(mode, nbits, signed) for mode in MODES for nbits in (4, 8) for signed in (True, False)]
EVERY = pytest.mark.parametrize(("mode", "nbits", "signed"), KINDS)
SHAPE = (4, 6)
GROUPS = [(1, 1), (4, 1), (1, 6), (4, 2), (2, 3)]


def fitted(array: np.ndarray, groups: tuple[int, ...], mask: Any = None, **fields: Any) -> FittedWeight:
    options = fit_affine(**fields)
    return mode_of("affine", options.mode).fit(array, options, Terms((4, 8), groups, mask))


def limits(nbits: int, *, signed: bool) -> tuple[int, int]:
    """The type's lowest and highest number."""
    return (-(2 ** (nbits - 1)), 2 ** (nbits - 1) - 1) if signed else (0, 2**nbits - 1)


def spread(parameters: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter for each element of the blocks that share it."""
    for axis, (length, count) in enumerate(zip(shape, parameters.shape, strict=True)):
        parameters = np.take(parameters, np.arange(length) * count // length, axis)
    return parameters


def twin(encoding: Affine, codes: np.ndarray) -> np.ndarray:
    """What codes in the places of elements (their shape at the end) stand for, in the weight's type."""
    dtype, shape = encoding.scale.dtype.type, codes.shape[-encoding.scale.ndim :]
    scale = spread(encoding.scale, shape)
    zero = np.zeros(shape) if encoding.offset is None else spread(encoding.offset, shape)
    with np.errstate(over="ignore"):
        return scale * (codes.astype(dtype) - zero.astype(dtype))


def check(array: np.ndarray, result: FittedWeight, mode: str, nbits: int, *, signed: bool) -> None:
    """All that is promised of any fit, whatever its range."""
    encoding, (low, high) = result.encoding, limits(nbits, signed=signed)
    assert isinstance(encoding, Affine) and encoding.inner.dtype == f"{'' if signed else 'u'}int{nbits}"
    codes = encoding.inner.array
    assert codes.dtype == (np.int8 if signed else np.uint8) and encoding.scale.dtype == array.dtype
    lowest = low + 1 if mode == "linear_symmetric" else low
    assert codes.min() >= lowest and codes.max() <= high
    assert (encoding.scale > 0).all() and np.isfinite(encoding.scale).all()
    if mode == "linear_symmetric" and signed:
        assert encoding.offset is None
    else:
        assert encoding.offset.dtype == codes.dtype and encoding.offset.shape == encoding.scale.shape
        assert encoding.offset.min() >= low and encoding.offset.max() <= high
    if mode == "linear_symmetric" and not signed:
        assert set(encoding.offset.reshape(-1).tolist()) == {2 ** (nbits - 1)}
    decoded = encoding.decode()
    assert decoded.dtype == array.dtype and np.isfinite(decoded).all()
    assert decoded.tobytes() == twin(encoding, codes.astype(int)).tobytes()
    assert (decoded[array == 0] == 0).all()
    check_nearest(array, encoding, decoded, range(lowest, high + 1))
    check_quality(array, decoded, result)


def check_nearest(array: np.ndarray, encoding: Affine, decoded: np.ndarray, codes: range) -> None:
    """No code stands for a value that is nearer by more than a rounding of the value."""
    reals = array.astype(np.float64)
    each = np.arange(codes[0], codes[-1] + 1).reshape(-1, *[1] * array.ndim)
    every = twin(encoding, np.broadcast_to(each, (len(codes), *array.shape))).astype(np.float64)
    errors = np.abs(np.where(np.isfinite(every), every, np.inf) - reals)
    info = np.finfo(array.dtype)
    rounding = np.abs(decoded.astype(np.float64)) * float(info.eps) + float(info.smallest_subnormal)
    assert (np.abs(decoded - reals) <= errors.min(axis=0) + rounding).all()


def check_quality(array: np.ndarray, decoded: np.ndarray, result: FittedWeight) -> None:
    reals = array.astype(np.float64)
    errors = np.abs(reals - decoded.astype(np.float64))
    quality = result.quality
    assert quality.squared_error == pytest.approx(np.square(errors).sum(), rel=1e-12, abs=0)
    assert quality.max_error == errors.max()
    assert quality.signal == pytest.approx(np.square(reals).sum(), rel=1e-12, abs=0)
    assert quality.optimum is None and quality.bound is None


def check_half_a_scale(array: np.ndarray, encoding: Affine) -> None:
    """Numbers that span all values are off by half a step, and what the type rounds of the range."""
    reals, decoded = array.astype(np.float64), encoding.decode().astype(np.float64)
    scale = spread(encoding.scale.astype(np.float64), array.shape)
    rows = split(reals, encoding.scale.shape)
    reach = spread(np.abs(rows).max(axis=1).reshape(encoding.scale.shape), array.shape)
    info = np.finfo(array.dtype)
    assert (np.abs(decoded - reals) <= scale / 2 + 2 * reach * float(info.eps)).all()


def weights(dtype: Any) -> st.SearchStrategy[np.ndarray]:
    """Values of one size, zeros among them, or of every size that the type has."""
    width = 8 * np.dtype(dtype).itemsize
    evenly = st.integers(-2048, 2048).map(lambda n: n / 1024)
    anything = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[call-overload]
    subnormal = st.integers(-900, 900).map(lambda n: n * float(np.finfo(dtype).smallest_subnormal))
    elements = st.sampled_from([evenly, evenly, anything, subnormal])
    return elements.flatmap(lambda each: hnp.arrays(dtype, SHAPE, elements=each | st.just(0.0)))


@EVERY
@FEW
@given(data=st.data(), dtype=st.sampled_from([np.float16, np.float32]))
def test_whole_numbers_are_the_nearest_and_span_all_values(
    mode: str, nbits: int, signed: bool, data: st.DataObject, dtype: Any
) -> None:
    array, groups = data.draw(weights(dtype)), data.draw(st.sampled_from(GROUPS))
    result = fitted(array, groups, mode=mode, nbits=nbits, signed=signed)
    assert result.encoding.scale.shape == groups
    check(array, result, mode, nbits, signed=signed)
    check_half_a_scale(array, result.encoding)
    narrow = fitted(array, groups, mode=mode, nbits=nbits, signed=signed, range="mse")
    check(array, narrow, mode, nbits, signed=signed)
    assert (group_errors(array, narrow) <= group_errors(array, result)).all()


def group_errors(array: np.ndarray, result: FittedWeight) -> np.ndarray:
    """The squared error of each group."""
    errors = array.astype(np.float64) - result.encoding.decode().astype(np.float64)
    return np.square(split(errors, result.encoding.scale.shape)).sum(axis=1) * (1 - 1e-12)


MOST = {np.float16: 65504.0, np.float32: 3.4028234663852886e38}
LEAST = {np.float16: 2.0**-24, np.float32: 2.0**-149}


@EVERY
@DTYPES
@pytest.mark.parametrize("range", ["minmax", "mse"])
def test_the_ends_of_the_type_stay_finite_and_near(
    mode: str, nbits: int, signed: bool, dtype: Any, range: str
) -> None:
    most = MOST[dtype]
    ends = [(-most, most), (0, most), (-most, 0), (most, most), (-most / 2, most), (-most, 0.98 * most)]
    array = np.array([[*pair, 0.3 * pair[0], 0.7 * pair[1], 0.0, pair[1]] for pair in ends], dtype)
    result = fitted(array, (len(ends), 1), mode=mode, nbits=nbits, signed=signed, range=range)
    check(array, result, mode, nbits, signed=signed)
    if range == "minmax":
        off = np.abs(array.astype(np.float64) - result.encoding.decode().astype(np.float64))
        steps = off / result.encoding.scale.astype(np.float64)
        assert steps[:4].max() <= 0.63  # half of one, and what fp16 rounds of 255
        assert steps[4:].max() <= 1  # where the next number past the greatest value overflows


@EVERY
@DTYPES
def test_subnormal_scales_span_all_values(mode: str, nbits: int, signed: bool, dtype: Any) -> None:
    reaches = (1, 2, 15, 100, 255, 300, 400, 1000)
    units = np.array([[0, n, n // 2, 1, n - 1, -(n // 3)] for n in reaches])
    array = (units * LEAST[dtype]).astype(dtype)
    result = fitted(array, (len(reaches), 1), mode=mode, nbits=nbits, signed=signed)
    check(array, result, mode, nbits, signed=signed)
    check_half_a_scale(array, result.encoding)


@EVERY
@DTYPES
@pytest.mark.parametrize("range", ["minmax", "mse"])
def test_constant_weights(mode: str, nbits: int, signed: bool, dtype: Any, range: str) -> None:
    values = np.array([0.0, -0.0, 1.0, -0.3, 1e-7, -65504.0], dtype)
    array = np.repeat(values[:, None], 6, axis=1)
    result = fitted(array, (6, 2), mode=mode, nbits=nbits, signed=signed, range=range)
    check(array, result, mode, nbits, signed=signed)
    reals = array.astype(np.float64)
    off = np.abs(reals - result.encoding.decode().astype(np.float64))
    assert (off <= 2**nbits * np.finfo(dtype).eps * np.abs(reals)).all()


@DTYPES
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("signed", [True, False])
def test_the_search_for_the_least_error_is_worth_it_where_tails_are_heavy(
    dtype: Any, mode: str, signed: bool
) -> None:
    array = (0.02 * np.random.default_rng(4).standard_t(3, (8, 256))).astype(dtype)
    for groups in ((8, 1), (1, 1)):
        wide, narrow = (
            fitted(array, groups, mode=mode, nbits=4, signed=signed, range=range)
            for range in ("minmax", "mse")
        )
        assert narrow.quality.squared_error <= 0.9 * wide.quality.squared_error
        assert (group_errors(array, narrow) <= group_errors(array, wide)).all()
    if mode == "linear_symmetric":
        assert narrow.quality.squared_error <= 1.02 * least_by_scan(array.astype(np.float64), 7)


def least_by_scan(reals: np.ndarray, most: int) -> float:
    """The least squared error of symmetric numbers with any of many scales."""
    scales = np.abs(reals).max() / most * np.linspace(0.05, 1, 100)[:, None, None]
    decoded = scales * np.clip(np.rint(reals / scales), -most, most)
    return float(np.square(reals - decoded).sum(axis=(1, 2)).min())


@DTYPES
def test_scales_by_hand(dtype: Any) -> None:
    array = np.array([[-3, 0, 12], [0.5, 7.5, 3], [-1, -15, 0]], dtype)
    result = fitted(array, (3, 1), nbits=4, signed=False).encoding
    assert result.scale.reshape(-1).tolist() == [1, 0.5, 1]
    assert result.offset.reshape(-1).tolist() == [3, 0, 15]
    assert result.inner.array.tolist() == [[0, 3, 15], [1, 15, 6], [14, 0, 15]]
    result = fitted(array[:1], (1, 1), mode="linear_symmetric", nbits=4).encoding
    scale = float(np.array(12 / 7, dtype))
    assert result.scale.tolist() == [[scale]] and result.inner.array.tolist() == [[-2, 0, 7]]


@EVERY
@pytest.mark.parametrize("range", ["minmax", "mse"])
def test_what_a_mask_leaves_out_counts_as_zero(mode: str, nbits: int, signed: bool, range: str) -> None:
    rng = np.random.default_rng(9)
    array, mask = rng.standard_normal(SHAPE).astype(np.float16), rng.random(SHAPE) < 0.6
    array[~mask] *= 1000
    shown = np.where(mask, array, np.float16(0))
    fields = {"mode": mode, "nbits": nbits, "signed": signed, "range": range}
    result = fitted(array, (4, 2), mask, **fields)
    assert result == fitted(shown, (4, 2), **fields)
    check(shown, result, mode, nbits, signed=signed)


@DTYPES
@pytest.mark.parametrize("mode", MODES)
def test_arrays_that_do_not_lie_in_row_major_order(dtype: Any, mode: str) -> None:
    whole = np.random.default_rng(2).standard_normal((8, 6, 4)).astype(dtype)
    for view in (whole[..., 1].T[::-1], np.asfortranarray(whole[..., 0]), whole[::2, :, 3]):
        groups = (view.shape[0], view.shape[1] // 2)
        assert fitted(view, groups, mode=mode) == fitted(np.array(view, order="C"), groups, mode=mode)


@DTYPES
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf, np.nan]])
def test_weights_that_are_not_finite_are_left(dtype: Any, mode: str, bad: list[float]) -> None:
    array = np.ones(SHAPE, dtype)
    array.reshape(-1)[15 : 15 + len(bad)] = bad
    told = rf"^{len(bad)} of 24 elements are not finite, the first at \[2, 3\]$"
    with pytest.raises(NotFittable, match=told):
        fitted(array, (1, 1), mode=mode)
    with pytest.raises(NotFittable, match="no elements"):
        fitted(array[:0], (1, 1), mode=mode)


@given(
    array=hnp.arrays(np.float16, SHAPE, elements=st.floats(-8, 8, width=16)),
    groups=st.sampled_from(GROUPS),
    part=st.integers(1, 30),
    how=st.sampled_from(KINDS),
    extent=st.sampled_from(["minmax", "mse"]),
)
@FEW
def test_parts_are_no_other_fit(array, groups, part, how, extent):
    fields = {"mode": how[0], "nbits": how[1], "signed": how[2], "range": extent}
    whole = fitted(array, groups, **fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "PART", part)
        found = fitted(array, groups, **fields)
    if extent == "minmax":
        assert found.encoding == whole.encoding
    assert found.quality.squared_error == pytest.approx(whole.quality.squared_error, rel=1e-9)
    assert found.quality.max_error == pytest.approx(whole.quality.max_error, rel=1e-9)
