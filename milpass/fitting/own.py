"""A user's own modes as words of the language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from attrs import frozen
from numpy.typing import NDArray

from milpass.errors import UsageError
from milpass.fitting import OWN, modes
from milpass.fitting.fitted import FittedWeight, LutOptions, Terms
from milpass.fitting.lut.custom import fit_by

Function = TypeVar("Function", bound=Callable[..., Any])


@frozen
class OwnMode:
    """A mode that asks a function of the weight and the number of bits."""

    function: Callable[[NDArray[Any], int], Any]
    NBITS: Literal["given", "found", "either"] = "given"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.function.__doc__

    def fit(self, array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
        """Take the table that the function gives, alone or with the indices."""
        nbits = options.nbits
        assert nbits is not None
        name = self.function.__name__
        return fit_by(lambda weight: self.function(weight, nbits), name, array, nbits, terms.legal_nbits)


def lut_mode(function: Function) -> Function:
    """Make a function a mode of `fit_lut` under its own name, known to `parse` from then on.

    `function(weight, nbits)` gets a numpy array of the weight's shape and dtype and returns a table of up to
    2**nbits numbers (each element then gets its nearest entry), or the table and an integer index for each
    element.  Raises `UsageError` where the name is taken.
    """
    name = function.__name__
    known = OWN.get(("lut", name))
    same = isinstance(known, OwnMode) and known.function.__module__ == function.__module__
    if not name.isidentifier() or (name in modes("lut") and not same):
        got = "a name that is taken" if name.isidentifier() else "no name"
        remedy = "Define it by `def`, under another name"
        raise UsageError(
            name,
            who="lut_mode",
            cannot="make a mode of it",
            got=got,
            needs="a name of its own",
            remedy=remedy,
        )
    OWN["lut", name] = OwnMode(function)
    return function
