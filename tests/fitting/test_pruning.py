"""Pruning by share, by threshold, in blocks and among neighbours, against sorts in plain Python."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.encodings import Sparse
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.granularity import Channels, Ungroupable
from milpass.passes import prune_weights
from tests.strategies import quick

FEW = quick(max_examples=80, derandomize=True)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32])
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
    """The weight with zeros in some places."""
    expected = array.copy()
    for place in gone:
        expected[place] = 0
    return expected


def places(array: np.ndarray) -> list[tuple[int, ...]]:
    return list(product(*map(range, array.shape)))


def first_of_smallest(array: np.ndarray, among: list[tuple[int, ...]], count: int) -> set[tuple[int, ...]]:
    return set(sorted(among, key=lambda place: abs(float(array[place])))[:count])


def check(array: np.ndarray, result: FittedWeight, expected: np.ndarray) -> None:
    """What is stored is what stays, and no zero."""
    encoding = result.encoding
    assert isinstance(encoding, Sparse)
    decoded, mask = encoding.decode(), encoding.mask.array()
    assert decoded.dtype == array.dtype and encoding.mask.nbits == 1
    assert np.array_equal(decoded, expected)
    assert np.array_equal(mask, expected != 0)
    errors = np.abs(array.astype(np.float64) - decoded.astype(np.float64))
    quality = result.quality
    assert quality.squared_error == pytest.approx(np.square(errors).sum(), rel=1e-12, abs=0)
    assert quality.max_error == errors.max() and quality.optimum is None
    assert quality.signal == pytest.approx(np.square(array.astype(np.float64)).sum(), rel=1e-12, abs=0)


@DTYPES
@FEW
@given(data=st.data(), sparsity=st.sampled_from([0, 0.3, 0.5, 0.75, 0.999, 1]) | st.floats(0, 1))
def test_a_share_of_the_smallest_goes_and_of_equal_ones_the_first(
    dtype: Any, data: st.DataObject, sparsity: float
) -> None:
    array = data.draw(weights(dtype))
    gone = first_of_smallest(array, places(array), int(array.size * sparsity))
    result = pruned(array, sparsity=sparsity)
    check(array, result, without(array, gone))
    kept = prune_weights(sparsity=sparsity).kept(array.shape, (1,) * array.ndim)
    stored = np.count_nonzero(result.encoding.mask.array())
    assert stored <= kept == array.size - int(array.size * sparsity)
    assert stored == kept or (array == 0).any()


@DTYPES
@FEW
@given(data=st.data(), threshold=st.sampled_from([0, 0.5, 1.0, 1e-7, 100.0]) | st.floats(0, 4))
def test_magnitudes_of_at_most_a_threshold_go(dtype: Any, data: st.DataObject, threshold: float) -> None:
    array = data.draw(weights(dtype))
    gone = {place for place in places(array) if abs(float(array[place])) <= threshold}
    check(array, pruned(array, threshold=threshold), without(array, gone))


def test_a_threshold_is_not_rounded_to_the_weight_s_type() -> None:
    array = np.array([[0.1, 0.2]], np.float16)  # fp16 has 0.09998 for 0.1
    assert pruned(array, threshold=0.1).encoding.decode().tolist() == [[0, float(array[0, 1])]]
    assert pruned(array, threshold=float(array[0, 0])).encoding.decode()[0, 0] == 0
    assert pruned(array, threshold=0.0999).encoding.decode().tolist() == array.tolist()


@DTYPES
def test_a_weight_is_left_where_too_little_of_it_would_go(dtype: Any) -> None:
    array = np.array([[0, -0.0, 0.5, 1], [2, 3, 4, 5]], dtype)
    expected = without(array, {(0, 2), (0, 3)})
    for least in (0, 0.3, 0.5):
        check(array, pruned(array, threshold=1.0, minimum_sparsity=least), expected)
    with pytest.raises(NotFittable, match=r"^4 of 8 elements would be zero, fewer than 51%$"):
        pruned(array, threshold=1.0, minimum_sparsity=0.51)
    check(array * 0, pruned(array * 0, threshold=0, minimum_sparsity=1), array * 0)


def neighbours(array: np.ndarray, axis: int, count: int) -> list[list[tuple[int, ...]]]:
    """The places of each group of neighbours along an axis, groups and places in row-major order."""
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in places(array):
        group = tuple(at // count if along == axis else at for along, at in enumerate(place))
        groups.setdefault(group, []).append(place)
    return [groups[group] for group in sorted(groups)]


def channels_of(axis: int, along: str | None) -> Channels:
    """Those whose `along` channels lie along an axis."""
    return Channels(axis, (axis + 1) % 3) if along == "output" else Channels((axis + 1) % 3, axis)


def wide(data: st.DataObject, dtype: Any, axis: int, count: int) -> np.ndarray:
    """A weight with room for two groups of neighbours or more, the last one of any length."""
    shape = [data.draw(st.integers(1, 3)) for _ in range(3)]
    shape[axis] = data.draw(st.integers(2 * count, 4 * count))
    return data.draw(weights(dtype, tuple(shape)))


@DTYPES
@FEW
@given(
    data=st.data(),
    n_m=st.sampled_from([(1, 2), (2, 4), (1, 4), (3, 4), (2, 3), (0, 2), (3, 3), (0, 1), (1, 1)]),
    along=st.sampled_from([None, "output", "input"]),
)
def test_the_smallest_of_neighbours_go(
    dtype: Any, data: st.DataObject, n_m: tuple[int, int], along: str | None
) -> None:
    (n, m), axis = n_m, data.draw(st.integers(0, 2))
    array = wide(data, dtype, axis, m)
    groups = neighbours(array, axis, m)
    gone = set().union(*(first_of_smallest(array, group, max(n - m + len(group), 0)) for group in groups))
    channels, options = channels_of(axis, along), prune_weights(n_m=n_m, along=along)
    result = pruned(array, channels, n_m=n_m, along=along)
    check(array, result, without(array, gone))
    kept = options.kept(array.shape, options.granularity.groups(array.shape, channels))
    assert kept == array.size - len(gone) >= np.count_nonzero(result.encoding.mask.array())


def test_neighbours_by_hand() -> None:
    array = np.array([[1, -1, 2, 3, 0, 0, 0, -5], [4, 3, 2, 1, -9, 8, -7, 6]], np.float16)
    assert pruned(array, n_m=(2, 4)).encoding.decode().tolist() == [
        [0, 0, 2, 3, 0, 0, 0, -5],
        [4, 3, 0, 0, -9, 8, 0, 0],
    ]
    assert pruned(array.T, Channels(0, 1), n_m=(2, 4), along="output").encoding.decode().T.tolist() == [
        [0, 0, 2, 3, 0, 0, 0, -5],
        [4, 3, 0, 0, -9, 8, 0, 0],
    ]
    assert pruned(array[:1, :7], n_m=(2, 3)).encoding.decode().tolist() == [[0, 0, 2, 3, 0, 0, 0]]


@DTYPES
@FEW
@given(
    data=st.data(),
    size=st.integers(2, 4),
    sparsity=st.sampled_from([0, 0.3, 0.5, 1]) | st.floats(0, 1),
    along=st.sampled_from([None, "output", "input"]),
)
def test_blocks_of_the_least_norm_go_together(
    dtype: Any, data: st.DataObject, size: int, sparsity: float, along: str | None
) -> None:
    axis = data.draw(st.integers(0, 2))
    array = wide(data, dtype, axis, size)
    blocks = neighbours(array, axis, size)
    room, gone = int(array.size * sparsity), set()
    for block in sorted(blocks, key=lambda block: sum(float(array[place]) ** 2 for place in block)):
        if len(gone) + len(block) > room:
            break
        gone |= set(block)
    rule = {"sparsity": sparsity, "block_size": size, "along": along}
    channels, options = channels_of(axis, along or "output"), prune_weights(**rule)
    check(array, pruned(array, channels, **rule), without(array, gone))
    kept = options.kept(array.shape, options.granularity.groups(array.shape, channels))
    assert kept == (None if array.shape[axis] % size else array.size - len(gone))


def test_blocks_by_hand() -> None:
    array = np.array([[1, 3], [-6, -7], [0, 3], [-9, 2]], np.float16)
    expected = [[0, 3], [0, -7], [0, 0], [-9, 0]]
    assert pruned(array, sparsity=0.5, block_size=2).encoding.decode().tolist() == expected
    flat = pruned(array.T, sparsity=0.5, block_size=2, along="input")
    assert flat.encoding.decode().T.tolist() == expected
    large = np.array([[300, 1], [300, 2], [2, 300], [250, 250]], np.float16)  # squares beyond fp16
    assert pruned(large, sparsity=0.25, block_size=2).encoding.decode()[:, 1].tolist() == [0, 0, 300, 250]


@DTYPES
def test_everything_may_go(dtype: Any) -> None:
    for array in (np.full((4, 4), 0.5, dtype), np.zeros((4, 4), dtype)):
        for view in (array, np.asfortranarray(array), array.T, array[::-1]):
            for rule in (
                {"threshold": 1},
                {"sparsity": 1},
                {"n_m": (2, 2)},
                {"sparsity": 1, "block_size": 2},
            ):
                check(view, pruned(view, **rule), np.zeros((4, 4), dtype))


RULES_ALL = pytest.mark.parametrize(
    "rule",
    [{"sparsity": 0.4}, {"threshold": 0.6}, {"n_m": (1, 2)}, {"sparsity": 0.4, "block_size": 2}],
    ids=str,
)


@RULES_ALL
def test_arrays_that_do_not_lie_in_row_major_order(rule: dict[str, Any]) -> None:
    whole = np.random.default_rng(3).standard_normal((8, 6, 4)).astype(np.float16)
    for view in (whole.T, np.asfortranarray(whole), whole[::-1, ::-1, ::3]):
        assert pruned(view, **rule) == pruned(np.array(view, order="C"), **rule)


@RULES_ALL
def test_weights_that_are_not_finite_are_left(rule: dict[str, Any]) -> None:
    array = np.ones((4, 6), np.float16)
    array[2, 3:5] = np.nan, np.inf
    with pytest.raises(NotFittable, match=r"^2 of 24 elements are not finite, the first at \[2, 3\]$"):
        pruned(array, **rule)


def test_how_many_stay_is_predicted_only_where_the_values_do_not_tell() -> None:
    assert prune_weights(sparsity=0.5).kept((3, 5), (1, 1)) == 8
    assert prune_weights(sparsity=0.999).kept((3, 5), (1, 1)) == 1
    assert prune_weights(n_m=(3, 4)).kept((4, 8), (4, 2)) == 8
    assert prune_weights(n_m=(3, 4)).kept((4, 10), (4, 3)) == 4 * (1 + 1 + 1)
    assert prune_weights(sparsity=0.5, block_size=3).kept((9, 2), (3, 2)) == 9
    assert prune_weights(sparsity=0.5, block_size=4).kept((9, 2), (3, 2)) is None
    assert prune_weights(threshold=0.5).kept((3, 5), (1, 1)) is None


def test_why_a_weight_has_no_such_neighbours() -> None:
    array = np.ones((8, 6), np.float16)
    assert pruned(array, n_m=(1, 3)) and pruned(array, n_m=(2, 4), along="output")
    for rule, why in (
        ({"n_m": (2, 4)}, r"^4 neighbours among 6 input channels: there must be 8 or more$"),
        ({"n_m": (2, 5), "along": "output"}, r"^5 neighbours among 8 output channels: .* 10 or more$"),
        ({"sparsity": 0.5, "block_size": 5}, r"^5 neighbours among 8 output channels: .* 10 or more$"),
        ({"sparsity": 0.5, "block_size": 4, "along": "input"}, r"^4 neighbours among 6 input channels: "),
    ):
        with pytest.raises(Ungroupable, match=why):
            pruned(array, **rule)
        with pytest.raises(Ungroupable, match=r"^no operation that uses it tells"):
            pruned(array, Channels(), **rule)
