"""A chain of fits in two steps: what its searches find, and the encoding made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, evolve, field, frozen
from numpy.typing import NDArray

from milpass.composition import Composition
from milpass.fitting import OWN
from milpass.fitting.finding import Finding, Unusable, fit_again, fit_directly, searches
from milpass.fitting.fitted import FittedWeight, Terms
from milpass.granularity import GRANULARITIES
from milpass.links import Fit


def is_divided(fits: Sequence[Fit]) -> bool:
    """Whether a chain searches for something, and its text says all that is done.

    A function of the user's own may do something else the next time, and what a model has compressed already
    is no part of the text.
    """
    return all(map(_is_told, fits)) and any(map(searches, fits))


def _is_told(fit: Fit) -> bool:
    """Whether the text of a fit says what it does, but for what `importance` tells."""
    if not type(fit).__module__.startswith("milpass.passes."):
        return False
    if (fit.encoding, fit.mode) in OWN or getattr(fit, "lut_function", None) is not None:
        return False
    return type(fit.granularity) in GRANULARITIES.values()


def has_importance(fit: Fit) -> bool:
    """Whether a function tells what errors cost."""
    return getattr(fit, "importance", None) is not None


@define
class Recording:
    """Fits a chain, and keeps what its searches find, in their order."""

    findings: list[Finding] = field(factory=list)

    def __call__(self, options: Any, array: NDArray[Any], terms: Terms) -> FittedWeight:
        """Carry out one fit."""
        fitted = fit_directly(options, array, terms)
        if searches(options):
            self.findings.append(Finding(fitted.parameters, fitted.quality))
        return fitted


@define
class Replaying:
    """Fits a chain from what its searches found; raises `Unusable` where they found something else."""

    findings: list[Finding]

    def __call__(self, options: Any, array: NDArray[Any], terms: Terms) -> FittedWeight:
        """Carry out one fit."""
        if not searches(options):
            return fit_directly(options, array, terms)
        if not self.findings:
            raise Unusable("fewer findings than searches")
        return fit_again(options, array, terms, self.findings.pop(0))


@frozen(eq=False)
class Chain:
    """The chain of fits of one weight, to be fitted to its values."""

    composition: Composition
    fits: tuple[Fit, ...]
    array: NDArray[Any]

    def fitted(self) -> tuple[FittedWeight, tuple[Finding, ...]]:
        """Search, and make the encoding; with what was found."""
        recording = Recording()
        fitted = evolve(self.composition, fitter=recording).fitted(self.fits, self.array)
        return fitted, tuple(recording.findings)

    def fitted_again(self, findings: Sequence[Finding]) -> FittedWeight | None:
        """The same encoding from what was found; None where that belongs to something else."""
        replaying = Replaying(list(findings))
        try:
            fitted = evolve(self.composition, fitter=replaying).fitted(self.fits, self.array)
        except Unusable:
            return None
        return None if replaying.findings else fitted
