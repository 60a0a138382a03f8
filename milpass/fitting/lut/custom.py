"""A table of the user's own making: `lut_function(weight)` gives it, alone or with the indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, LutOptions, Mistake, Terms, fewest_nbits
from milpass.fitting.measuring import measured
from milpass.fitting.references import resolve
from milpass.fitting.tables.distribution import Distribution, check_finite
from milpass.fitting.tables.table import Entries, filled, palettized

NBITS = "either"
WHO = "lut_function"

# A user's function need not be made for several threads.
_ONE_AT_A_TIME = Lock()


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Take the table, padded to a power of two, and the indices, or else each element's nearest entry.

    The function gets a copy of the weight, in its shape and dtype.  Raises `Mistake` where it fails or
    gives something else than finite numbers and, if it gives them, indices into them.
    """
    assert options.lut_function is not None
    return fit_by(resolve(options.lut_function), WHO, array, options.nbits, terms.legal_nbits)


def fit_by(
    function: Callable[[NDArray[Any]], Any],
    who: str,
    array: NDArray[Any],
    nbits: int | None,
    legal_nbits: Sequence[int],
) -> FittedWeight:
    """Fit by a function of the weight; `who` is what errors call it."""
    check_finite(array)
    try:
        return _taken(_called(function, array), array, nbits, legal_nbits)
    except Mistake as mistake:
        raise Mistake(who, mistake.got, mistake.needs) from mistake.__cause__


def _called(function: Callable[[NDArray[Any]], Any], array: NDArray[Any]) -> Any:
    with _ONE_AT_A_TIME:
        try:
            return function(array.copy())
        except Exception as error:
            raise Mistake(WHO, f"{type(error).__name__}: {error}", "a table of the weight") from error


def _taken(returned: Any, array: NDArray[Any], asked: int | None, legal_nbits: Sequence[int]) -> FittedWeight:
    """What a function returned, as a table with indices."""
    table, indices = _parts(returned)
    entries = _entries(table, array.dtype)
    nbits = _nbits(entries.size, asked, legal_nbits)
    if indices is None:
        ascending = np.sort(entries.astype(np.float64))
        return palettized(array, Distribution.of(array), Entries(ascending), nbits)
    stored = filled(entries, nbits, array.dtype).reshape((1,) * array.ndim + (-1, 1))
    lut = Lut(Indices.of(_indices(indices, array.shape, entries.size), nbits), Dense(stored))
    return FittedWeight(lut, measured(array, lut))


def _parts(returned: Any) -> tuple[Any, Any]:
    """The table and the indices, None where the function leaves them to be found."""
    if not isinstance(returned, tuple):
        return returned, None
    if len(returned) != 2:
        raise Mistake(WHO, f"a tuple of {len(returned)}", "a table, or a tuple of table and indices")
    return returned


def _entries(table: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The table's entries in the weight's dtype, as many as there are."""
    needs = "a list or array of numbers, one axis"
    try:
        found = np.asarray(table)
    except ValueError as error:
        raise Mistake(WHO, f"{type(table).__name__} ({error})", needs) from None
    if found.dtype.kind not in "fiu" or found.ndim != 1 or found.size == 0:
        raise Mistake(WHO, _described(table, found), needs)
    with np.errstate(over="ignore"):
        stored = found.astype(dtype)
    if not np.isfinite(stored).all():
        first = int(np.flatnonzero(~np.isfinite(stored))[0])
        raise Mistake(WHO, f"{found[first]} as entry {first}", f"numbers that are finite in {dtype.name}")
    return stored


def _nbits(entries: int, asked: int | None, legal_nbits: Sequence[int]) -> int:
    """The bits asked for, or else the fewest that hold the table."""
    if asked is None:
        return fewest_nbits(entries, legal_nbits)
    if entries > 1 << asked:
        raise Mistake(WHO, f"{entries} entries", f"at most {1 << asked}, for {asked} bits")
    return asked


def _indices(indices: Any, shape: tuple[int, ...], entries: int) -> NDArray[np.uint8]:
    """The indices in the weight's shape."""
    needs = f"integers of shape {shape}, from 0 to {entries - 1}"
    found = np.asarray(indices)
    size = int(np.prod(shape))
    if found.dtype.kind not in "iu" or found.shape not in (shape, (size,)):
        raise Mistake(WHO, f"indices that are {_described(indices, found)}", needs)
    if found.min() < 0 or found.max() >= entries:
        raise Mistake(WHO, f"indices from {found.min()} to {found.max()}", needs)
    return found.reshape(shape).astype(np.uint8)


def _described(returned: Any, found: NDArray[Any]) -> str:
    if found.ndim == 0:
        return f"{type(returned).__name__} {returned!r}"
    return f"{found.dtype.name} of shape {found.shape}"
