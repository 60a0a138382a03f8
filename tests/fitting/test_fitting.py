"""The modes of a table fit and the distribution they look at, against numpy on plain arrays."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.fitting import mode_of
from milpass.fitting.fitted import NotFittable, Terms
from milpass.fitting.tables.distribution import Distribution
from milpass.fitting.tables.patterns import _counted, _sorted, distinct_patterns
from milpass.passes import fit_lut
from tests.strategies import quick

FEW = quick(max_examples=50, derandomize=True)
WIDTH = {np.float16: 16, np.float32: 32}
DTYPES = pytest.mark.parametrize("dtype", WIDTH)
EVERY_MODE = pytest.mark.parametrize("mode", ["kmeans", "uniform"])


def elements(dtype):
    """Any finite value, small whole numbers that tie, and both zeros."""
    return st.one_of(
        st.floats(allow_nan=False, allow_infinity=False, width=WIDTH[dtype]),
        st.integers(-8, 8).map(float),
        st.sampled_from([0.0, -0.0]),
    )


def weights(dtype, most=5):
    shapes = hnp.array_shapes(min_dims=1, max_dims=most, max_side=5)
    return hnp.arrays(dtype, shapes, elements=elements(dtype))


def fitted(mode, array, nbits):
    return mode_of("lut", mode).fit(array, fit_lut(mode=mode, nbits=nbits), Terms(range(1, 9)))


def check(array, nbits, result):
    """What every mode promises, recomputed from the array and the stored table alone."""
    table = result.encoding.inner.decode()
    assert (table.dtype, table.shape) == (array.dtype, (1,) * array.ndim + (1 << nbits, 1))
    entries = table.reshape(-1).astype(np.float64)
    assert np.isfinite(entries).all() and (np.diff(entries) >= 0).all()
    reals = array.astype(np.float64)
    indices = result.encoding.indices.array()
    check_nearest(reals.reshape(-1), entries, indices.reshape(-1))
    decoded = result.encoding.decode()
    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    assert np.array_equal(decoded.astype(np.float64), entries[indices])
    check_quality(result.quality, reals, reals - decoded.astype(np.float64))


def check_nearest(reals, entries, indices):
    """The first of the nearest in float64, unless another is nearer by less than float64 can tell."""
    nearest = np.concatenate(
        [
            np.argmin(np.abs(part[:, None] - entries), axis=1)
            for part in np.split(reals, range(4096, reals.size, 4096))
        ]
    )
    for at in np.flatnonzero(indices != nearest):
        real, chosen, other = (Fraction(x) for x in (reals[at], entries[indices[at]], entries[nearest[at]]))
        assert abs(real - chosen) < abs(real - other)


def check_quality(quality, reals, errors):
    assert quality.squared_error == pytest.approx(np.sum(np.square(errors)), rel=1e-9, abs=0)
    assert quality.max_error == np.max(np.abs(errors))
    assert quality.signal == pytest.approx(np.sum(np.square(reals)), rel=1e-9, abs=0)


@EVERY_MODE
@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 8))
def test_each_element_has_its_nearest_entry(mode, dtype, data, nbits):
    array = data.draw(weights(dtype))
    check(array, nbits, fitted(mode, array, nbits))


@DTYPES
def test_ties_go_to_the_lower_entry(dtype):
    array = np.array([0, 1, 2, 3, 6], dtype)  # uniform with 2 bits: 0, 2, 4, 6; 1 and 3 lie in the middle
    result = fitted("uniform", array, 2)
    assert result.encoding.inner.decode().reshape(-1).tolist() == [0, 2, 4, 6]
    assert result.encoding.indices.array().tolist() == [0, 0, 1, 1, 3]
    assert (result.quality.squared_error, result.quality.max_error) == (2.0, 1.0)


@EVERY_MODE
@DTYPES
def test_large_weights(mode, dtype):
    array = (np.random.default_rng(5).standard_t(3, (3, 70, 400)) * 0.03).astype(dtype)
    check(array, 4, fitted(mode, array, 4))


@pytest.mark.parametrize("dtype, offset, spread", [(np.float32, 1000, 1e-3), (np.float16, 1000, 2.0)])
@EVERY_MODE
def test_a_small_spread_far_from_zero(mode, dtype, offset, spread):
    array = (offset + spread * np.random.default_rng(6).standard_normal((40, 50))).astype(dtype)
    check(array, 4, fitted(mode, array, 4))


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(3, 8))
def test_kmeans_is_exact_where_the_table_has_room(dtype, data, nbits):
    pool = data.draw(st.lists(elements(dtype), min_size=1, max_size=1 << 3))
    places = data.draw(hnp.arrays(np.intp, (4, 9), elements=st.integers(0, len(pool) - 1)))
    array = np.array(pool, dtype)[places]
    result = fitted("kmeans", array, nbits)
    assert np.array_equal(result.encoding.decode(), array)
    quality = result.quality
    assert (quality.squared_error, quality.max_error, quality.optimum, quality.bound) == (0, 0, 0, 0)
    table, distinct = result.encoding.inner.decode().reshape(-1), np.unique(array.astype(np.float64))
    assert np.array_equal(table[: distinct.size], distinct)
    assert (table[distinct.size :] == distinct[-1]).all()
    assert result.encoding.indices.array().max() == distinct.size - 1  # padding is never chosen


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 5))
def test_the_optimum_of_kmeans_bounds_what_is_stored(dtype, data, nbits):
    array = data.draw(hnp.arrays(dtype, (7, 11), elements=st.floats(-2, 2, width=16)))
    quality, even = fitted("kmeans", array, nbits).quality, fitted("uniform", array, nbits).quality
    assert quality.bound <= quality.optimum <= quality.squared_error * (1 + 1e-12)
    assert quality.bound <= even.squared_error * (1 + 1e-12)
    assert (even.optimum, even.bound) == (None, None)


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 8))
def test_uniform_has_equal_steps_from_least_to_greatest(dtype, data, nbits):
    array = data.draw(weights(dtype))
    table = fitted("uniform", array, nbits).encoding.inner.decode().reshape(-1)
    low, high = (float(bound) for bound in (array.min(), array.max()))
    last = (1 << nbits) - 1
    steps = [low * ((last - i) / last) + high * (i / last) for i in range(last + 1)]
    assert (table[0], table[-1]) == (array.min(), array.max())
    tolerance = np.finfo(dtype).eps * max(abs(low), abs(high)) + float(np.finfo(dtype).smallest_subnormal)
    assert np.abs(table.astype(np.float64) - steps).max() <= tolerance


@pytest.mark.parametrize("nbits", [1, 4, 8])
@DTYPES
def test_uniform_over_the_whole_range_of_the_dtype(dtype, nbits):
    most = np.finfo(dtype).max
    array = np.array([-most, -1, 0, 1, most], dtype)
    check(array, nbits, fitted("uniform", array, nbits))


@EVERY_MODE
@DTYPES
@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -65504.0, 6e-8])
def test_constants_are_exact(mode, dtype, value):
    array = np.full((3, 5), value, dtype)
    result = fitted(mode, array, 4)
    check(array, 4, result)
    assert np.array_equal(result.encoding.decode(), array)
    assert not result.encoding.indices.array().any()


@EVERY_MODE
@DTYPES
def test_arrays_that_do_not_lie_in_row_major_order(mode, dtype):
    whole = np.random.default_rng(8).standard_normal((6, 7, 8)).astype(dtype)
    for view in (
        whole.T,
        whole[::2, ::-1],
        whole[..., 3],
        np.asfortranarray(whole),
        np.flip(whole).reshape(-1),
    ):
        result, copied = fitted(mode, view, 3), fitted(mode, np.array(view, order="C"), 3)
        check(view, 3, result)
        assert result == copied


@EVERY_MODE
@DTYPES
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf], [np.nan, np.inf], [-np.inf, np.inf, np.nan]])
def test_weights_that_are_not_finite(mode, dtype, bad):
    array = np.ones((4, 5, 6), dtype)
    array.reshape(-1)[77 : 77 + len(bad)] = bad
    with pytest.raises(NotFittable) as refusal:
        fitted(mode, array, 4)
    assert f"{len(bad)} of 120 elements are not finite" in str(refusal.value)
    assert "[2, 2, 5]" in str(refusal.value)  # 77 = (2 * 5 + 2) * 6 + 5


@DTYPES
@pytest.mark.parametrize("sign", [0, 1])
def test_a_signalling_nan_is_not_finite(dtype, sign):
    bits = {np.float16: (np.uint16, 0x7C01), np.float32: (np.uint32, 0x7F800001)}[dtype]
    pattern = bits[1] | sign << (WIDTH[dtype] - 1)
    array = np.array([0, 0, pattern], bits[0]).view(dtype)
    with pytest.raises(NotFittable, match=r"1 of 3 elements .* \[2\]"):
        Distribution.of(array)


@DTYPES
@FEW
@given(data=st.data())
def test_distribution(dtype, data):
    array = data.draw(weights(dtype))
    reals = array.astype(np.float64) + 0.0
    values, counts = np.unique(reals, return_counts=True)
    found = Distribution.of(array)
    assert (found.values.dtype, found.counts.dtype) == (np.float64, np.float64)
    assert found.values.tobytes() == (values + 0.0).tobytes()  # no -0.0
    assert np.array_equal(found.counts, counts)
    assert found.signal == pytest.approx(np.sum(np.square(reals)), rel=1e-9, abs=0)


def distinct(array):
    return distinct_patterns(array).size


@DTYPES
@FEW
@given(data=st.data())
def test_distinct_patterns(dtype, data):
    array = data.draw(weights(dtype))
    patterns = {element.tobytes() for element in array.reshape(-1)}
    assert distinct(array) == distinct(array[::-1]) == len(patterns)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_distinct_patterns_tell_zeros_and_nans_apart(dtype):
    assert distinct(np.array([0.0, -0.0, 0.0, 1.0, 1.0], dtype)) == 3
    assert distinct(np.array([np.nan, -np.nan, np.nan], dtype)) == 2
    assert distinct(np.array([], dtype)) == 0


@pytest.mark.parametrize("size", [1, 1000, 70_000])
def test_counting_and_sorting_find_the_same(size):
    drawn = np.random.default_rng(size).integers(0, 1 << 16, size).astype(np.uint16).view(np.float16)
    for array in (drawn, np.zeros(size, np.float16), np.full(size, -0.0, np.float16)):
        counted, ordered = _counted(array), _sorted(array)
        assert counted[0].tolist() == ordered[0].tolist() and counted[1].tolist() == ordered[1].tolist()
