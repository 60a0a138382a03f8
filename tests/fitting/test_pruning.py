"""Pruning by share, by threshold and among neighbours, against sorts in plain Python."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.encodings import Sparse
from milpass.errors import UsageError
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.granularity import Channels, Ungroupable
from milpass.passes import prune_weights
from tests.strategies import quick

FEW = quick(max_examples=80, derandomize=True)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32])
SPARSITY = "sparsity of prune_weights: prune_weights cannot fit weights with it: "
INPUTS = Channels(0, 1)


def pruned(array: np.ndarray, channels: Channels = INPUTS, **rule: Any) -> FittedWeight:
    options = prune_weights(**rule)
    groups = options.granularity.groups(array.shape, channels)
    return mode_of("sparse", options.mode).fit(array, options, Terms((), groups))


def weights(dtype: Any, shape: Any = None) -> st.SearchStrategy[np.ndarray]:
    """Few magnitudes, so that many tie, of either sign; zeros of either sign."""
    values = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 6e-8]) | st.floats(-4, 4, width=16)
    shapes = hnp.array_shapes(min_dims=2, max_dims=4, max_side=5) if shape is None else shape
    return hnp.arrays(dtype, shapes, elements=values)


def without(array: np.ndarray, gone: set[tuple[int, ...]]) -> np.ndarray:
    """The weight with zeros in some places; where nothing is left, its first element stays."""
    expected = array.copy()
    for place in gone:
        expected[place] = 0
    if not expected.any():
        expected[(0,) * array.ndim] = array[(0,) * array.ndim]
    return expected


def places(array: np.ndarray) -> list[tuple[int, ...]]:
    return list(product(*map(range, array.shape)))


def first_of_smallest(array: np.ndarray, among: list[tuple[int, ...]], count: int) -> set[tuple[int, ...]]:
    return set(sorted(among, key=lambda place: abs(float(array[place])))[:count])


def check(array: np.ndarray, result: FittedWeight, expected: np.ndarray) -> None:
    """What is stored is what stays, and no zero but where nothing else is there."""
    encoding = result.encoding
    assert isinstance(encoding, Sparse)
    decoded, mask = encoding.decode(), encoding.mask.array()
    assert decoded.dtype == array.dtype and encoding.mask.nbits == 1
    assert np.array_equal(decoded, expected)
    stays = expected != 0
    if not stays.any():
        stays[(0,) * array.ndim] = True
    assert np.array_equal(mask, stays)
    errors = np.abs(array.astype(np.float64) - decoded.astype(np.float64))
    quality = result.quality
    assert quality.squared_error == pytest.approx(np.square(errors).sum(), rel=1e-12, abs=0)
    assert quality.max_error == errors.max() and quality.optimum is None
    assert quality.signal == pytest.approx(np.square(array.astype(np.float64)).sum(), rel=1e-12, abs=0)


@DTYPES
@FEW
@given(data=st.data(), sparsity=st.sampled_from([0.01, 0.3, 0.5, 0.75, 0.999]) | st.floats(0.01, 0.99))
def test_a_share_of_the_smallest_goes_and_of_equal_ones_the_first(
    dtype: Any, data: st.DataObject, sparsity: float
) -> None:
    array = data.draw(weights(dtype))
    gone = first_of_smallest(array, places(array), int(array.size * sparsity))
    result = pruned(array, sparsity=sparsity)
    check(array, result, without(array, gone))
    kept = prune_weights(sparsity=sparsity).kept(array.shape)
    stored = np.count_nonzero(result.encoding.mask.array())
    assert stored <= kept == max(array.size - int(array.size * sparsity), 1)
    assert stored == kept or (array == 0).any()


@DTYPES
@FEW
@given(data=st.data(), threshold=st.sampled_from([0.5, 1.0, 1e-7, 100.0]) | st.floats(0.01, 4))
def test_magnitudes_below_a_threshold_go(dtype: Any, data: st.DataObject, threshold: float) -> None:
    array = data.draw(weights(dtype))
    gone = {place for place in places(array) if abs(float(array[place])) < threshold}
    check(array, pruned(array, threshold=threshold), without(array, gone))


def test_a_threshold_is_not_rounded_to_the_weight_s_type() -> None:
    array = np.array([[0.1, 0.2]], np.float16)  # fp16 has 0.09998 for 0.1
    assert pruned(array, threshold=0.1).encoding.decode().tolist() == [[0, float(array[0, 1])]]
    assert pruned(array, threshold=0.0999).encoding.decode().tolist() == array.tolist()


@DTYPES
@FEW
@given(data=st.data(), n_m=st.sampled_from([(1, 2), (2, 4), (1, 4), (3, 4), (2, 3)]))
def test_the_smallest_of_neighbours_along_the_input_channels_go(
    dtype: Any, data: st.DataObject, n_m: tuple[int, int]
) -> None:
    n, m = n_m
    axis = data.draw(st.integers(0, 2))
    shape = [data.draw(st.integers(1, 3)) for _ in range(3)]
    shape[axis] *= m
    array = data.draw(weights(dtype, tuple(shape)))
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in places(array):
        group = tuple(at // m if along == axis else at for along, at in enumerate(place))
        groups.setdefault(group, []).append(place)
    gone = set().union(*(first_of_smallest(array, group, n) for group in groups.values()))
    result = pruned(array, Channels((axis + 1) % 3, axis), n_m=n_m)
    check(array, result, without(array, gone))
    kept = prune_weights(n_m=n_m).kept(array.shape)
    assert kept == len(groups) * (m - n) >= np.count_nonzero(result.encoding.mask.array())


def test_neighbours_by_hand() -> None:
    array = np.array([[1, -1, 2, 3, 0, 0, 0, -5], [4, 3, 2, 1, -9, 8, -7, 6]], np.float16)
    assert pruned(array, n_m=(2, 4)).encoding.decode().tolist() == [
        [0, 0, 2, 3, 0, 0, 0, -5],
        [4, 3, 0, 0, -9, 8, 0, 0],
    ]
    assert pruned(array, Channels(1, 0), n_m=(1, 2)).encoding.decode().tolist() == [
        [0, 0, 0, 3, 0, 0, 0, 0],
        [4, 3, 2, 0, -9, 8, -7, 6],
    ]


@DTYPES
def test_everything_pruned_leaves_one_element(dtype: Any) -> None:
    for array in (np.full((3, 2), 0.5, dtype), np.zeros((3, 2), dtype)):
        for view in (array, np.asfortranarray(array), array.T, array[::-1]):
            result = pruned(view, threshold=1.0)
            assert np.count_nonzero(result.encoding.mask.array()) == 1
            check(view, result, without(view, set(places(view))))


@pytest.mark.parametrize("rule", [{"sparsity": 0.4}, {"threshold": 0.6}, {"n_m": (1, 2)}], ids=str)
def test_arrays_that_do_not_lie_in_row_major_order(rule: dict[str, Any]) -> None:
    whole = np.random.default_rng(3).standard_normal((8, 6, 4)).astype(np.float16)
    for view in (whole.T, np.asfortranarray(whole), whole[::-1, ::3]):
        assert pruned(view, **rule) == pruned(np.array(view, order="C"), **rule)


@pytest.mark.parametrize("rule", [{"sparsity": 0.5}, {"threshold": 0.5}, {"n_m": (1, 2)}], ids=str)
def test_weights_that_are_not_finite_are_left(rule: dict[str, Any]) -> None:
    array = np.ones((4, 6), np.float16)
    array[2, 3:5] = np.nan, np.inf
    with pytest.raises(NotFittable, match=r"^2 of 24 elements are not finite, the first at \[2, 3\]$"):
        pruned(array, **rule)


def test_how_many_stay_is_predicted_only_where_the_values_do_not_tell() -> None:
    assert prune_weights(sparsity=0.5).kept((3, 5)) == 8
    assert prune_weights(sparsity=0.999).kept((3, 5)) == 1
    assert prune_weights(n_m=(3, 4)).kept((4, 8)) == 8
    assert prune_weights(threshold=0.5).kept((3, 5)) is None


def test_why_a_weight_has_no_such_neighbours() -> None:
    with pytest.raises(Ungroupable, match=r"^groups of 4 do not divide the 6 channels of axis 1: 3 or 6 do$"):
        pruned(np.ones((8, 6), np.float16), n_m=(2, 4))
    with pytest.raises(Ungroupable, match=r"^no operation that uses it tells"):
        pruned(np.ones((8, 8), np.float16), Channels(), n_m=(2, 4))


ONE = "n_m of prune_weights: prune_weights cannot fit weights with it: got {}, needs {}."
RULES = "one of sparsity, threshold and n_m"
PAIR = "two integers n < m, such as (2, 4)"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, ONE.format(None, RULES)),
        ({"sparsity": 0.5, "threshold": 1.0}, ONE.format("'sparsity and threshold'", RULES)),
        ({"sparsity": 0.5, "n_m": (2, 4)}, ONE.format("'sparsity and n_m'", RULES)),
        *(
            ({"n_m": pair}, ONE.format(repr(pair), PAIR))
            for pair in ((4, 2), (2, 2), (0, 4), [2, 4], (2, 4, 8), (1.0, 2), (True, 2), 2)
        ),
        *(
            (
                {"sparsity": value},
                f"{SPARSITY}got {value!r}, needs a share between 0 and 1, such as 0.5.",
            )
            for value in (0, 1, 1.5, -0.5, "half", True, float("nan"))
        ),
        *(
            (
                {"threshold": value},
                f"{SPARSITY.replace('sparsity', 'threshold')}got {value!r}, needs a magnitude above 0.",
            )
            for value in (0, -1.0, float("inf"), float("nan"), "1", True)
        ),
    ],
    ids=str,
)
def test_wrong_rules_are_refused_in_words(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        prune_weights(**rule)
    assert str(raised.value) == told
