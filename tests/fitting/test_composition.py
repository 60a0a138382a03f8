"""Fits inside one another: what a chain decodes to, how good it says it is, tables met anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass.composition import Composition, nbits_of
from milpass.encodings import Affine, Dense, Encoding, Indices, Lut, Sparse
from milpass.fitting.fitted import FittedWeight, NotFittable
from milpass.fitting.tables.grouped import reassigned
from milpass.granularity import PerBlock, PerChannel, PerTensor
from milpass.links import Found
from milpass.passes import fit_affine, fit_lut, prune_weights
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
FLOATS = pytest.mark.parametrize("dtype", [np.float16, np.float32])
LEGAL = {"lut": (1, 2, 3, 4, 6, 8), "affine": (4, 8), "sparse": ()}
SHAPE = (4, 6)
GRANULARITIES = st.sampled_from([PerTensor(), PerChannel(), PerBlock(3)])
NUMBERS = {
    "nbits": st.sampled_from([4, 8]),
    "mode": st.sampled_from(["linear", "linear_symmetric"]),
    "signed": st.booleans(),
    "granularity": GRANULARITIES,
}
TABLES = {
    "nbits": st.integers(1, 3),
    "mode": st.sampled_from(["kmeans", "uniform"]),
    "granularity": GRANULARITIES,
}
PRUNED = st.builds(prune_weights, sparsity=st.sampled_from([0.25, 0.5, 0.9]))
CHAINS = {
    "sparse>lut": st.tuples(PRUNED, st.builds(fit_lut, **TABLES, inside=st.just("sparse"))),
    "sparse>affine": st.tuples(PRUNED, st.builds(fit_affine, **NUMBERS, inside=st.just("sparse"))),
    "lut>affine": st.tuples(
        st.builds(fit_lut, **TABLES), st.builds(fit_affine, **NUMBERS, inside=st.just("lut"))
    ),
    "affine>lut": st.tuples(
        st.builds(fit_affine, **NUMBERS), st.builds(fit_lut, **TABLES, inside=st.just("affine"))
    ),
    "sparse>lut>affine": st.tuples(
        PRUNED,
        st.builds(fit_lut, **TABLES, inside=st.just("sparse")),
        st.builds(fit_affine, **NUMBERS, inside=st.just("lut")),
    ),
}
AROUND: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "lut": st.tuples(st.builds(fit_lut, **TABLES)),
    "affine": st.tuples(st.builds(fit_affine, **NUMBERS)),
    "lut>affine": CHAINS["lut>affine"],
}


def composed(array: np.ndarray, *fits: Any, found: Encoding | None = None) -> FittedWeight:
    reader = Reader("linear", "linear_0", "weight", "weight", axes=(0, 1))
    dtype = {"float16": "fp16", "float32": "fp32"}[array.dtype.name]
    weight = Weight(Key("main", (), "w"), array.shape, dtype, Source("weight.bin", 64), (reader,))
    return Composition(weight, LEGAL).fitted(fits, array, found)


def arrays(dtype: Any) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(dtype, SHAPE, elements=st.floats(-4, 4, width=16))


def kinds(encoding: Encoding) -> list[str]:
    return [] if isinstance(encoding, Dense) else [encoding.kind, *kinds(encoding.inner)]


def decoded(encoding: Encoding) -> np.ndarray:
    """What a reader sees, element by element, as the operations define it."""
    seen = np.empty(encoding.shape, encoding.decode().dtype)
    for place in np.ndindex(*encoding.shape):
        seen[place] = element(encoding, place)
    return seen


def element(encoding: Encoding, place: tuple[int, ...]) -> Any:
    """One element of what an encoding stands for."""
    if isinstance(encoding, Dense):
        return encoding.array[place]
    if isinstance(encoding, Sparse):
        value = element(encoding.inner, place)
        return value if encoding.mask.array()[place] else value * 0
    if isinstance(encoding, Lut):
        groups = encoding.inner.shape[:-2]
        table = tuple(at * count // n for at, count, n in zip(place, groups, encoding.shape, strict=True))
        return element(encoding.inner, (*table, int(encoding.indices.array()[place]), 0))
    assert isinstance(encoding, Affine)
    block = tuple(at * n // m for at, n, m in zip(place, encoding.scale.shape, encoding.shape, strict=True))
    number = encoding.scale.dtype.type(element(encoding.inner, place))
    offset = 0 if encoding.offset is None else encoding.offset[block]
    return encoding.scale[block] * (number - encoding.scale.dtype.type(offset))


@pytest.mark.parametrize("chain", CHAINS)
@FLOATS
@FEW
@given(data=st.data())
def test_a_chain_is_as_good_as_it_says(chain: str, dtype: Any, data: st.DataObject) -> None:
    array, fits = data.draw(arrays(dtype)), data.draw(CHAINS[chain])
    result = composed(array, *fits)
    assert kinds(result.encoding) == chain.split(">")
    seen, reals = decoded(result.encoding), array.astype(np.float64)
    assert seen.dtype == dtype and np.array_equal(seen, result.encoding.decode())
    errors = np.abs(reals - seen.astype(np.float64))
    assert result.quality.squared_error == pytest.approx(np.square(errors).sum(), rel=1e-12, abs=0)
    assert result.quality.max_error == errors.max()
    assert result.quality.signal == pytest.approx(np.square(reals).sum(), rel=1e-12, abs=0)
    if "sparse" in chain:
        outermost = composed(array, fits[0])
        mask = outermost.encoding.mask.array()
        assert np.array_equal(result.encoding.mask.array(), mask) and not seen[mask == 0].any()
    if "lut>affine" in chain:
        check_nearest(array, result.encoding)
    if chain != "affine>lut":
        numbers = [fit.nbits for fit in fits if fit.encoding == "lut"] or [fits[-1].nbits]
        assert nbits_of(result.encoding) == numbers[0]


def check_nearest(array: np.ndarray, encoding: Encoding) -> None:
    """Each element under the mask refers to the first of the nearest entries of its table as it is stored."""
    shown = np.ones(SHAPE, bool)
    if isinstance(encoding, Sparse):
        encoding, shown = encoding.inner, encoding.mask.array() != 0
    assert isinstance(encoding, Lut)
    tables, indices = encoding.inner.decode().astype(np.float64), encoding.indices.array()
    for place in np.argwhere(shown).tolist():
        group = tuple(at * n // m for at, n, m in zip(place, tables.shape, SHAPE, strict=False))
        off = np.abs(tables[group][:, 0] - float(array[tuple(place)]))
        assert off[indices[tuple(place)]] == off.min()


def test_a_pruned_weight_s_table_has_its_values_alone() -> None:
    array = np.array([[0.1, 5, 5, 0.2], [7, -0.1, 0.1, 7]], np.float32)
    result = composed(array, prune_weights(threshold=1.0), fit_lut(nbits=1, inside="sparse"))
    assert result.encoding.inner.inner.decode().reshape(-1).tolist() == [5, 7]
    assert result.encoding.decode().tolist() == [[0, 5, 5, 0], [7, 0, 0, 7]]
    assert result.quality.max_error == np.float32(0.2)


def test_numbers_in_a_table_move_its_entries_and_elements_follow() -> None:
    """In steps of 1000 / 15 the entry of 30 and 40 comes to 66.7, so that 30 is nearer to 0."""
    array = np.array([[0, 0, 40, 40, 40, 40], [40, 40, 30, 500, 1000, 0]], np.float32)
    lut, step = fit_lut(nbits=2), float(np.float32(1000 / 15))
    assert composed(array, lut).encoding.indices.array().tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 1, 2, 3, 0]]
    numbers = fit_affine(nbits=4, inside="lut", signed=False, granularity=PerTensor())
    result = composed(array, lut, numbers)
    entries = result.encoding.inner.decode().reshape(-1)
    np.testing.assert_allclose(entries, [0, step, 7 * step, 15 * step], rtol=1e-6, atol=step * 1.001)
    assert entries[:2].tolist() == [0, np.float32(step)]
    assert result.encoding.indices.array().tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 0, 2, 3, 0]]


@FLOATS
@FEW
@given(data=st.data(), nbits=st.integers(1, 4), masked=st.booleans())
def test_reassigned_gives_nearest_entries(dtype: Any, data: st.DataObject, nbits: int, masked: bool) -> None:
    array, groups = data.draw(arrays(dtype)), data.draw(st.sampled_from([(1, 1), (4, 1), (2, 3)]))
    tables = np.sort(
        data.draw(hnp.arrays(dtype, (*groups, 1 << nbits, 1), elements=st.floats(-4, 4, width=16))), axis=-2
    )
    mask = data.draw(hnp.arrays(np.bool_, SHAPE)) if masked else None
    lut = Lut(Indices.of(np.zeros(SHAPE, np.uint8), nbits), Dense(tables))
    found = reassigned(array, lut, mask)
    assert found.inner is lut.inner and found.indices.nbits == nbits
    for place in np.ndindex(*SHAPE):
        group = tuple(at * n // m for at, n, m in zip(place, groups, SHAPE, strict=True))
        off = np.abs(tables[group][:, 0].astype(np.float64) - float(array[place]))
        index = found.indices.array()[place]
        assert off[index] == off.min() if mask is None or mask[place] else index == 0


def test_tables_that_do_not_ascend_keep_their_indices() -> None:
    lut = Lut(
        Indices.of(np.array([[0, 1]], np.uint8), 1), Dense(np.array([3, 1], np.float32).reshape(1, 1, 2, 1))
    )
    assert reassigned(np.array([[1, 3]], np.float32), lut, None) is lut


def test_what_a_model_has_already_is_encoded_further() -> None:
    array = np.array([[0.5, 0, 2], [0, 0, -1]], np.float16)
    found = composed(array, prune_weights(threshold=0.1)).encoding
    result = composed(array, Found("sparse"), fit_lut(nbits=2, inside="sparse"), found=found)
    assert kinds(result.encoding) == ["sparse", "lut"] and result.encoding.mask == found.mask
    assert np.array_equal(result.encoding.decode(), array) and result.quality.squared_error == 0


@pytest.mark.parametrize("chain", [("lut",), ("affine",), ("lut", "affine")], ids=str)
@FLOATS
@FEW
@given(data=st.data(), threshold=st.floats(0, 4), in_model=st.booleans())
def test_what_is_pruned_around_keeps_its_numbers(
    chain: Any, dtype: Any, data: st.DataObject, threshold: float, in_model: bool
) -> None:
    array = data.draw(arrays(dtype))
    fits = data.draw(AROUND[">".join(chain)])
    before = composed(array, *fits)
    prune = prune_weights(threshold=threshold, around=chain[0])
    if in_model:
        array = before.encoding.decode()
        result = composed(array, prune, *map(Found, chain), found=before.encoding)
        assert result.encoding.inner is before.encoding
    else:
        result = composed(array, prune, *fits)
        assert result.encoding.inner == before.encoding
    seen = before.encoding.decode()
    expected = [[x if abs(float(x)) > threshold else 0 for x in row] for row in seen]
    assert decoded(result.encoding).tolist() == np.array(expected, dtype).tolist()
    lost = np.abs(array.astype(np.float64) - np.array(expected, np.float64))
    assert result.quality.max_error == lost.max()
    assert result.quality.squared_error == pytest.approx(np.square(lost).sum(), rel=1e-12, abs=0)


def test_numbers_may_be_fitted_in_a_table_that_a_model_has_and_that_is_pruned() -> None:
    array = np.array([[0.5, 0, 2, 1], [0, 0, -1, 1]], np.float32)
    table = composed(array, fit_lut(nbits=2)).encoding
    numbers = fit_affine(inside="lut", granularity=PerTensor())
    result = composed(
        table.decode(), prune_weights(sparsity=0.5, around="lut"), Found("lut"), numbers, found=table
    )
    assert kinds(result.encoding) == ["sparse", "lut", "affine"]
    seen, whole = result.encoding.decode(), composed(table.decode(), Found("lut"), numbers, found=table)
    assert np.count_nonzero(seen) <= 4 and (seen[seen != 0] == whole.encoding.decode()[seen != 0]).all()


def test_nothing_is_nested_where_it_does_not_belong() -> None:
    array = np.ones(SHAPE, np.float16)
    with pytest.raises(NotFittable, match=r"^it ends in lut, not in sparse$"):
        composed(array, fit_lut(nbits=2), fit_affine(inside="sparse"))
    with pytest.raises(NotFittable, match=r"^nothing can be nested in it$"):
        composed(array, Found("lut"), fit_affine(inside="lut"), found=Dense(array))


def test_importance_is_asked_for_once() -> None:
    asked: list[str] = []

    def importance(weight: Weight) -> np.ndarray:
        asked.append(weight.name)
        return np.ones(weight.shape)

    array = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    composed(array, fit_lut(nbits=2, importance=importance), fit_affine(inside="lut"))
    assert asked == ["w"]
