"""The modes `unique` and `custom` of table fits: what they store, and what they refuse in which words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass import UsageError, apply, fit_lut, replace_const_with_lut, select_weights
from milpass.encodings import Lut
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, Mistake, NotFittable, Terms
from tests.strategies import quick

FEW = quick(max_examples=60, derandomize=True)
UNSIGNED = {np.float16: np.uint16, np.float32: np.uint32}
DTYPES = pytest.mark.parametrize("dtype", UNSIGNED)
LEGAL = ((1, 2, 4, 6, 8), (1, 2, 3, 4, 6, 8))
DIGITS = Path(__file__).parents[2] / "examples" / "digits.mlpackage"


def unique(array: np.ndarray, legal: tuple[int, ...] = LEGAL[1]) -> FittedWeight:
    return mode_of("lut", "unique").fit(array, fit_lut(mode="unique"), Terms(legal))


def custom(array: np.ndarray, function: Callable[[Any], Any], nbits: int | None = None) -> FittedWeight:
    options = fit_lut(mode="custom", nbits=nbits, lut_function=function)
    return mode_of("lut", "custom").fit(array, options, Terms(LEGAL[1]))


def patterns_of(array: np.ndarray) -> set[int]:
    return set(np.frombuffer(array.tobytes(), UNSIGNED[array.dtype.type]).tolist())


def finite(dtype: Any) -> st.SearchStrategy[float]:
    values = st.floats(width=8 * np.dtype(dtype).itemsize, allow_nan=False, allow_infinity=False)
    return st.one_of(values, st.sampled_from([0.0, -0.0, 1.0]))


@DTYPES
@FEW
@given(data=st.data())
def test_unique_loses_nothing_and_takes_the_fewest_bits(dtype: Any, data: st.DataObject) -> None:
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=7)
    array = data.draw(hnp.arrays(dtype, shapes, elements=finite(dtype)))
    for legal in LEGAL:
        fitted = unique(array, legal)
        assert fitted.encoding.decode().tobytes() == array.tobytes()
        assert isinstance(fitted.encoding, Lut)
        fewest = min(n for n in legal if 1 << n >= len(patterns_of(array)))
        assert fitted.encoding.indices.nbits == fewest
        assert (fitted.quality.squared_error, fitted.quality.max_error) == (0, 0)


@DTYPES
@FEW
@given(data=st.data(), groups=st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 3)]), pruned=st.booleans())
def test_unique_has_a_table_for_each_group(
    dtype: Any, data: st.DataObject, groups: tuple[int, int], pruned: bool
) -> None:
    array = data.draw(hnp.arrays(dtype, (4, 6), elements=finite(dtype)))
    mask = data.draw(hnp.arrays(bool, (4, 6))) if pruned else np.ones((4, 6), bool)
    terms = Terms(LEGAL[1], groups, mask if pruned else None)
    lut = mode_of("lut", "unique").fit(array, fit_lut(mode="unique"), terms).encoding
    assert isinstance(lut, Lut)
    assert np.array_equal(lut.decode()[mask].view(UNSIGNED[dtype]), array[mask].view(UNSIGNED[dtype]))
    cells = array.reshape(groups[0], 4 // groups[0], groups[1], -1).swapaxes(1, 2)
    kept = mask.reshape(groups[0], 4 // groups[0], groups[1], -1).swapaxes(1, 2)
    most = max(len(patterns_of(cells[at][kept[at]])) for at in np.ndindex(groups))
    assert lut.indices.nbits == min(n for n in LEGAL[1] if 1 << n >= most)


@DTYPES
@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 5000])
def test_unique_holds_256_patterns_and_no_more(dtype: Any, count: int) -> None:
    patterns = np.random.default_rng(count).permutation(30_000)[:count].astype(UNSIGNED[dtype])
    array = np.resize(patterns, (100, 100)).view(dtype)
    array[::2] *= -1
    if len(patterns_of(array)) > 256:
        with pytest.raises(NotFittable, match="more than 256 distinct values"):
            unique(array)
    else:
        assert unique(array).encoding.decode().tobytes() == array.tobytes()


@DTYPES
@pytest.mark.parametrize("values", [[], [1, np.nan], [np.inf, 2], [-np.inf]])
@pytest.mark.parametrize("mode", [unique, lambda array: custom(array, lambda weight: [0.0, 1.0])])
def test_what_is_empty_or_not_finite_is_left(dtype: Any, values: list[float], mode: Any) -> None:
    with pytest.raises(NotFittable, match=r"no elements|not finite"):
        mode(np.array(values, dtype))


TABLES: list[Any] = [
    [3, -1, 0.5],
    np.array([2.5, -2.5], np.float64),
    np.arange(-8, 8, dtype=np.int8),
    np.array([0.1], np.float16),
    [0.25, 0.25, -1],
    np.linspace(-3, 3, 256).astype(np.float32),
]


@DTYPES
@pytest.mark.parametrize("table", TABLES, ids=len)
def test_a_table_alone_gives_each_element_its_nearest_entry(dtype: Any, table: Any) -> None:
    array = np.random.default_rng(1).standard_normal((20, 30)).astype(dtype)
    fitted = custom(array, lambda weight: table)
    stored = np.asarray(table).astype(dtype).astype(np.float64)
    decoded = fitted.encoding.decode()
    errors = np.abs(array.astype(np.float64) - decoded.astype(np.float64))
    assert decoded.dtype == dtype and set(decoded.reshape(-1).tolist()) <= set(stored.tolist())
    nearest = np.abs(array.astype(np.float64)[..., None] - stored).min(axis=-1)
    np.testing.assert_array_equal(errors, nearest)
    assert_quality(fitted, array)


def assert_quality(fitted: FittedWeight, array: np.ndarray) -> None:
    reals = array.astype(np.float64)
    errors = np.abs(reals - fitted.encoding.decode().astype(np.float64))
    quality = fitted.quality
    np.testing.assert_allclose(quality.squared_error, np.sum(errors**2), rtol=1e-12)
    np.testing.assert_allclose(quality.signal, np.sum(reals**2), rtol=1e-12)
    assert quality.max_error == errors.max() and quality.optimum is None


@DTYPES
@pytest.mark.parametrize("entries", [1, 2, 5, 16, 200])
@pytest.mark.parametrize("flat", [False, True])
def test_indices_are_taken_as_they_are(dtype: Any, entries: int, flat: bool) -> None:
    rng = np.random.default_rng(entries)
    array, table = rng.standard_normal((9, 7)).astype(dtype), rng.standard_normal(entries)
    indices = rng.integers(0, entries, array.shape)
    fitted = custom(array, lambda weight: (list(table), indices.reshape(-1) if flat else indices.tolist()))
    np.testing.assert_array_equal(fitted.encoding.decode(), table.astype(dtype)[indices])
    assert_quality(fitted, array)


def test_bits_that_are_asked_for_are_used() -> None:
    array = np.zeros((4, 4), np.float16)
    for nbits in (2, 3, 8):
        encoding = custom(array, lambda weight: [1.0, 0.0], nbits).encoding
        assert isinstance(encoding, Lut) and encoding.inner.shape == (1, 1, 1 << nbits, 1)
        np.testing.assert_array_equal(encoding.decode(), array)


ARRAY = np.linspace(-1, 1, 12, dtype=np.float16).reshape(3, 4)
SOME = np.zeros((3, 4), int)


@pytest.mark.parametrize(
    ("returned", "got", "needs"),
    [
        (None, "NoneType None", "numbers, one axis"),
        ("abc", "str 'abc'", "numbers, one axis"),
        (1.5, "float 1.5", "numbers, one axis"),
        ([], r"float64 of shape \(0,\)", "numbers, one axis"),
        ([[1.0, 2.0]], r"float64 of shape \(1, 2\)", "numbers, one axis"),
        ([[1.0], [2.0, 3.0]], "list", "numbers, one axis"),
        ([True, False], r"bool of shape \(2,\)", "numbers, one axis"),
        ([1j], "complex128", "numbers, one axis"),
        (([1.0], SOME, 3), "a tuple of 3", "a table, or a tuple of table and indices"),
        ([1.0, np.nan], "nan as entry 1", "finite in float16"),
        ([1.0, 70_000.0], "70000.0 as entry 1", "finite in float16"),
        (([1.0], SOME.astype(float)), "indices that are float64", r"integers of shape \(3, 4\), from 0 to 0"),
        (([1.0], SOME.T), r"int64 of shape \(4, 3\)", r"integers of shape \(3, 4\)"),
        (([1.0], SOME + 1), "indices from 1 to 1", "from 0 to 0"),
        (([1.0], SOME - 1), "indices from -1 to -1", "from 0 to 0"),
    ],
    ids=repr,
)
def test_mistakes_name_what_was_returned_and_what_was_expected(returned: Any, got: str, needs: str) -> None:
    with pytest.raises(Mistake) as raised:
        custom(ARRAY, lambda weight: returned)
    assert re.search(got, raised.value.got) and re.search(needs, raised.value.needs)


def test_a_table_that_is_too_long() -> None:
    with pytest.raises(Mistake, match=r"5 entries.*at most 4, for 2 bits"):
        custom(ARRAY, lambda weight: list(range(5)), nbits=2)
    with pytest.raises(NotFittable, match="257 entries: a table of this format has at most 256"):
        custom(ARRAY, lambda weight: list(range(257)))


def test_the_function_gets_a_copy_of_the_weight() -> None:
    array, seen = ARRAY.copy(), []

    def scribbles(weight: np.ndarray) -> list[float]:
        seen.append((weight.shape, weight.dtype))
        weight[:] = 7
        return [-1.0, 1.0]

    custom(array, scribbles)
    assert seen == [((3, 4), np.float16)] and array.tobytes() == ARRAY.tobytes()


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("drawn_tables")
    module.ends = lambda weight: [weight.min(), weight.max()]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "drawn_tables", module)


@pytest.mark.usefixtures("tables")
def test_a_function_is_found_by_its_name() -> None:
    decoded = custom(ARRAY, "drawn_tables:ends").encoding.decode()  # type: ignore[arg-type]
    assert set(decoded.reshape(-1).tolist()) == {-1.0, 1.0}
    for wrong in ("drawn_tables:none", "no_such_module_here:ends"):
        with pytest.raises(UsageError, match="cannot find the function"):
            custom(ARRAY, wrong)  # type: ignore[arg-type]


def test_a_failing_function_names_the_weight_and_keeps_its_error(tmp_path: Path) -> None:
    error = ZeroDivisionError("ha")

    def fails(weight: np.ndarray) -> list[float]:
        raise error

    pipeline = select_weights() | fit_lut(mode="custom", lut_function=fails) | replace_const_with_lut()
    told = "^conv2_weight_to_fp16: lut_function .* ZeroDivisionError: ha"
    with pytest.raises(UsageError, match=told) as raised:
        apply(pipeline, DIGITS, tmp_path / "out.mlpackage")
    assert raised.value.__cause__ is error and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "unique", "nbits": 4},
        {"mode": "kmeans"},
        {"mode": "uniform", "nbits": None},
        {"mode": "custom"},
        {"mode": "custom", "lut_function": 3},
        {"mode": "custom", "lut_function": "no colon"},
        {"mode": "custom", "lut_function": "a-b:c"},
        {"mode": "custom", "lut_function": "a:b", "nbits": 9},
        {"mode": "kmeans", "nbits": 4, "lut_function": "a:b"},
    ],
    ids=repr,
)
def test_fields_that_do_not_go_together(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="of fit_lut: fit_lut cannot fit weights with it"):
        fit_lut(**fields)
