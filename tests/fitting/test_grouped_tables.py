"""Tables in groups, under masks, by importance, over scaled channels, against every clustering there is."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.composition import Composition
from milpass.encodings import Affine, Lut
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, Mistake, NotFittable, Terms
from milpass.granularity import PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.passes import fit_lut
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint8])
FLOATS = pytest.mark.parametrize("dtype", [np.float16, np.float32])
LEGAL = {"lut": (1, 2, 3, 4, 6, 8), "affine": (4, 8), "sparse": ()}
SHAPE = (4, 6)
GROUPS = [(1, 1), (4, 1), (1, 6), (2, 2), (4, 3)]


def weight_of(array: np.ndarray) -> Weight:
    """A weight with output channels along axis 0 and input channels along axis 1."""
    reader = Reader("linear", "linear_0", "weight", "weight", axes=(0, 1))
    dtype = {"float16": "fp16", "float32": "fp32"}[array.dtype.name]
    return Weight(Key("main", (), "w"), array.shape, dtype, Source("weight.bin", 64), (reader,))


def composed(array: np.ndarray, *fits: Any) -> FittedWeight:
    return Composition(weight_of(array), LEGAL).fitted(fits, array)


def values(dtype: Any) -> st.SearchStrategy[float]:
    if np.dtype(dtype).kind != "f":
        info = np.iinfo(dtype)
        return st.integers(int(info.min), int(info.max))  # type: ignore[return-value]
    return st.one_of(st.floats(-4, 4, width=16), st.integers(-3, 3).map(float), st.just(-0.0))


def arrays(dtype: Any, shape: tuple[int, ...] = SHAPE) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(dtype, shape, elements=values(dtype))


def least_error(reals: Any, costs: Any, k: int) -> float:
    """The least sum of costs times squared errors, over all partitions of the ascending values into k."""
    order = np.argsort(reals)
    x, w = np.asarray(reals, np.float64)[order], np.asarray(costs, np.float64)[order]
    distinct = np.unique(x)
    cuts = np.searchsorted(x, distinct)[1:]  # equal values stay together
    error = {
        (a, b): _spread(x[a:b], w[a:b]) for a, b in combinations([0, *cuts.tolist(), len(x)], 2) if a < b
    }
    return min(
        sum(error[pair] for pair in pairwise((0, *inner, len(x))))
        for inner in combinations(cuts.tolist(), min(k, len(distinct)) - 1)
    )


def _spread(x: np.ndarray, w: np.ndarray) -> float:
    mean = np.average(x, weights=w) if w.any() else x[0]
    return float(np.sum(w * np.square(x - mean)))


def groups_of(shape: tuple[int, ...], groups: tuple[int, ...]) -> dict[tuple[int, ...], list[Any]]:
    """The places of the elements of each group."""
    found: dict[tuple[int, ...], list[Any]] = {}
    for place in product(*map(range, shape)):
        group = tuple(at * count // length for at, count, length in zip(place, groups, shape, strict=True))
        found.setdefault(group, []).append(place)
    return found


def check_nearest(array: np.ndarray, lut: Lut, mask: np.ndarray | None = None) -> None:
    """Each element has the first of the nearest entries of its own group's table, off the mask entry 0."""
    tables, indices = lut.inner.decode().astype(np.float64), lut.indices.array()
    for group, places in groups_of(array.shape, tables.shape[:-2]).items():
        for place in places:
            off = np.abs(tables[group][:, 0] - float(array[place]))
            assert indices[place] == (off.argmin() if mask is None or mask[place] else 0)


def check_quality(result: FittedWeight, array: np.ndarray, costs: np.ndarray) -> None:
    reals = array.astype(np.float64)
    errors = np.abs(reals - result.encoding.decode().astype(np.float64))
    quality = result.quality
    assert quality.squared_error == pytest.approx(np.sum(costs * errors**2), rel=1e-9, abs=1e-30)
    assert quality.signal == pytest.approx(np.sum(costs * reals**2), rel=1e-9, abs=1e-30)


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 3), masked=st.booleans())
def test_each_group_has_the_best_table_of_its_own(
    dtype: Any, data: st.DataObject, nbits: int, masked: bool
) -> None:
    array, groups = data.draw(arrays(dtype)), data.draw(st.sampled_from(GROUPS))
    mask = data.draw(hnp.arrays(np.bool_, SHAPE)) if masked else None
    shown = np.ones(SHAPE, bool) if mask is None else mask
    result = mode_of("lut", "kmeans").fit(array, fit_lut(nbits=nbits), Terms(range(1, 9), groups, mask))
    assert isinstance(result.encoding, Lut)
    tables = result.encoding.inner.decode()
    assert tables.dtype == dtype and tables.shape == (*groups, 1 << nbits, 1)
    check_nearest(array, result.encoding, mask)
    check_quality(result, np.where(shown, array, result.encoding.decode()), np.where(shown, 1.0, 0.0))
    best = 0.0
    for places in groups_of(SHAPE, groups).values():
        reals = [float(array[place]) for place in places if shown[place]]
        best += least_error(reals, np.ones(len(reals)), 1 << nbits) if reals else 0.0
    assert result.quality.optimum == pytest.approx(best, rel=1e-9, abs=1e-12)
    off = (np.abs(tables).max() * float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else 1) / 2
    assert result.quality.squared_error <= best + array.size * float(off) ** 2 * (1 + 1e-9) + 1e-12


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 4), masked=st.booleans())
def test_each_group_has_equal_steps_of_its_own(
    dtype: Any, data: st.DataObject, nbits: int, masked: bool
) -> None:
    array, groups = data.draw(arrays(dtype)), data.draw(st.sampled_from(GROUPS))
    mask = data.draw(hnp.arrays(np.bool_, SHAPE)) if masked else None
    options = fit_lut(mode="uniform", nbits=nbits)
    result = mode_of("lut", "uniform").fit(array, options, Terms(range(1, 9), groups, mask))
    tables = result.encoding.inner.decode()
    last = (1 << nbits) - 1
    for group, places in groups_of(SHAPE, groups).items():
        reals = [float(array[place]) for place in places if mask is None or mask[place]]
        if reals:
            steps = [min(reals) + (max(reals) - min(reals)) * n / last for n in range(last + 1)]
            expected = np.rint(steps) if np.dtype(dtype).kind != "f" else np.array(steps)
            np.testing.assert_allclose(tables[group][:, 0].astype(float), expected, rtol=2e-3, atol=1e-6)
    check_nearest(array, result.encoding, mask)


@DTYPES
@FEW
@given(data=st.data(), nbits=st.integers(1, 2))
def test_the_error_by_importance_is_the_least_there_is(dtype: Any, data: st.DataObject, nbits: int) -> None:
    array, groups = data.draw(arrays(dtype)), data.draw(st.sampled_from(GROUPS[1:]))
    costs = data.draw(hnp.arrays(np.float64, SHAPE, elements=st.sampled_from([0.0, 0.0, 1.0, 0.25, 30.0])))
    terms = Terms(range(1, 9), groups, importance=costs)
    result = mode_of("lut", "kmeans").fit(array, fit_lut(nbits=nbits), terms)
    best = 0.0
    for places in groups_of(SHAPE, groups).values():
        weighed = [costs[place] for place in places]
        if any(weighed):
            best += least_error([float(array[place]) for place in places], weighed, 1 << nbits)
    assert result.quality.optimum == pytest.approx(best, rel=1e-9, abs=1e-12)
    check_nearest(array, result.encoding)


def test_importance_by_hand() -> None:
    array = np.array([[0, 1, 9, 10]], np.float32)
    given = {"a": [[1, 3, 1, 0]], "b": [[0, 0, 0, 5]], "c": [[0, 0, 0, 0]]}
    tables = {
        name: composed(array, fit_lut(nbits=1, importance=lambda weight, costs=costs: costs))
        for name, costs in given.items()
    }
    found = {name: fit.encoding.inner.decode().reshape(-1).tolist() for name, fit in tables.items()}
    assert found == {"a": [0.75, 9], "b": [10, 10], "c": [0.5, 9.5]}
    assert tables["a"].quality.squared_error == tables["a"].quality.optimum == 0.75


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda weight: np.ones((6, 4)), "float64 of shape (6, 4)"),
        (lambda weight: 1.0, "float64 of shape ()"),
        (lambda weight: None, "object of shape ()"),
        (lambda weight: np.full(SHAPE, "much"), "str"),
        (lambda weight: np.full(SHAPE, 1j), "complex128 of shape (4, 6)"),
        (lambda weight: np.arange(24.0).reshape(SHAPE) - 1, "-1.0 as element 0"),
        (lambda weight: np.where(np.arange(24).reshape(SHAPE) == 7, np.nan, 1), "nan as element 7"),
        (lambda weight: np.where(np.arange(24).reshape(SHAPE) == 23, np.inf, 1), "inf as element 23"),
        (lambda weight: weight.nothing_of_the_kind, "AttributeError: "),
        (lambda weight: [[1, 2], [3]], "ValueError: "),
    ],
)
def test_importance_that_will_not_do_is_told_in_words(function: Any, got: str) -> None:
    for scaled in (False, True):
        with pytest.raises(Mistake) as raised:
            composed(
                np.ones(SHAPE, np.float16), fit_lut(nbits=2, importance=function, per_channel_scale=scaled)
            )
        assert raised.value.who == "importance" and raised.value.got.startswith(got)
        assert raised.value.needs == "numbers of shape (4, 6), finite and none below zero"


def test_importance_is_asked_of_the_weight_itself() -> None:
    array, asked = np.ones(SHAPE, np.float16), []

    def importance(weight: Weight) -> np.ndarray:
        asked.append(weight)
        return np.ones(weight.shape, bool)

    composed(array, fit_lut(nbits=2, importance=importance))
    assert asked == [weight_of(array)]


@FLOATS
def test_scaled_channels_are_better_where_rows_differ_in_size(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    array = (rng.standard_normal((8, 64)) * 10.0 ** np.arange(-3, 1)[np.arange(8) % 4, None]).astype(dtype)
    plain, scaled = (composed(array, fit_lut(nbits=3, per_channel_scale=on)) for on in (False, True))
    assert isinstance(scaled.encoding, Affine) and scaled.encoding.offset is None
    assert scaled.encoding.scale.shape == (8, 1) and scaled.encoding.scale.dtype == dtype
    check_quality(scaled, array, np.ones(array.shape))
    reals = array.astype(np.float64)
    parts = [
        np.square(reals - f.encoding.decode()).sum(axis=1) / np.square(reals).sum(axis=1)
        for f in (plain, scaled)
    ]
    assert parts[1].max() < 0.1 < parts[0].max()  # rows that were one entry have eight


@FLOATS
@FEW
@given(
    data=st.data(), important=st.booleans(), granularity=st.sampled_from([PerTensor(), PerGroupedChannel(2)])
)
def test_tables_of_scaled_channels_are_the_best_for_the_weight(
    dtype: Any, data: st.DataObject, important: bool, granularity: Any
) -> None:
    array = data.draw(arrays(dtype)) * np.array([[1], [0.25], [64], [8]], dtype)
    costs = np.ones(SHAPE)
    if important:
        costs = data.draw(hnp.arrays(np.float64, SHAPE, elements=st.sampled_from([0.5, 1.0, 40.0])))
    fit = fit_lut(
        nbits=1,
        granularity=granularity,
        per_channel_scale=True,
        importance=(lambda weight: costs) if important else None,
    )
    result = composed(array, fit)
    scales = np.abs(array.astype(np.float64)).max(axis=1, keepdims=True)
    scales = np.where(scales > 0, scales, 1)
    assert isinstance(result.encoding, Affine) and result.encoding.scale.tolist() == scales.tolist()
    even = (array / scales).astype(dtype).astype(np.float64)  # as the table sees them
    groups = granularity.groups(SHAPE, weight_of(array).channels)
    best = 0.0
    for places in groups_of(SHAPE, groups).values():
        weighed = [costs[place] * scales[place[0], 0] ** 2 for place in places]
        best += least_error([even[place] for place in places], weighed, 2)
    assert result.quality.optimum == pytest.approx(best, rel=1e-9, abs=1e-12)
    check_quality(result, array, costs)
    room = 8 * float(np.finfo(dtype).eps) * np.sqrt((costs * np.square(array.astype(float))).sum())
    assert np.sqrt(result.quality.squared_error) <= np.sqrt(best) + room


@FLOATS
def test_tables_of_channels_need_no_scales(dtype: Any) -> None:
    array = np.random.default_rng(2).standard_normal(SHAPE).astype(dtype)
    fits = [fit_lut(nbits=2, granularity=PerChannel(), per_channel_scale=on) for on in (True, False)]
    scaled, plain = (composed(array, fit) for fit in fits)
    assert isinstance(scaled.encoding, Lut) and scaled == plain
    assert isinstance(composed(array, fit_lut(nbits=2, granularity=PerBlock(3))).encoding, Lut)


@pytest.mark.parametrize("fields", [{"granularity": PerChannel()}, {"per_channel_scale": True}], ids=str)
def test_what_is_not_finite_is_left(fields: Any) -> None:
    array = np.ones(SHAPE, np.float16)
    array[1, 2] = np.inf
    with pytest.raises(NotFittable, match=r"^1 of 24 elements are not finite, the first at \[1, 2\]$"):
        composed(array, fit_lut(nbits=2, **fields))
