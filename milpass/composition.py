"""From a chain of fits to one encoding: each fit encodes the values in which the one before it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from milpass.encodings import Affine, Cast, Dense, Encoding, Lut, Sparse
from milpass.fitting.finding import Fitter, fit_directly
from milpass.fitting.fitted import FittedWeight, NotFittable, Terms
from milpass.fitting.measuring import measured
from milpass.fitting.tables.grouped import reassigned
from milpass.fitting.tables.importance import importance_of
from milpass.fitting.tables.scaling import fit_scaled
from milpass.granularity import PerChannel
from milpass.links import Fit, Found, groups_of_tables, vector_axis
from milpass.weight import Weight


@frozen(eq=False)
class Composition:
    """How one weight is fitted; `legal`: kind of encoding -> the numbers of bits that the format can say.

    `fitter` carries out each fit of a chain.  `has_biases` says that the format has biases with scales, not
    zero points.
    """

    weight: Weight
    legal: Mapping[str, Sequence[int]]
    fitter: Fitter = fit_directly
    has_biases: bool = False
    _costs: dict[int, NDArray[np.float64]] = field(factory=dict, repr=False)

    def fitted(self, fits: Sequence[Fit], array: NDArray[Any], found: Encoding | None = None) -> FittedWeight:
        """Fit values by a chain, outermost first, from what was `found` where it begins so.

        Raises what modes raise.
        """
        if len(fits) == 1:
            return self._first(fits[0], array)
        encoding = self._encoded(fits, array, found)
        telling = [fit for fit in fits if getattr(fit, "importance", None)]
        costs = self.importance(telling[0], array.shape) if telling else None
        return FittedWeight(encoding, measured(array, encoding, costs))

    def _encoded(self, fits: Sequence[Fit], array: NDArray[Any], found: Encoding | None) -> Encoding:
        if getattr(fits[0], "around", None):
            return self._around(self._encoded(fits[1:], array, found), fits[0])
        if found is not None and isinstance(fits[0], Found):
            encoding, rest = found, [fit for fit in fits if not isinstance(fit, Found)]
        else:
            encoding, rest = self._first(fits[0], array).encoding, list(fits[1:])
        for fit in rest:
            encoding = self._nested(encoding, fit)
        return _reassigned(array, encoding, None) if rest else encoding

    def _around(self, encoding: Encoding, fit: Fit) -> Encoding:
        """A chain as it is, under a mask of what is to stay of the values that its readers see."""
        if isinstance(encoding, Lut) and encoding.vector_axis is not None:
            raise NotFittable("tables of vectors cannot be pruned: a mask is of single elements")
        seen = encoding.decode()
        fitted = self.fitter(fit, seen, self._terms(fit, seen.shape))
        assert isinstance(fitted.encoding, Sparse)
        return evolve(fitted.encoding, inner=encoding)

    def _first(self, fit: Fit, array: NDArray[Any]) -> FittedWeight:
        terms = self._terms(fit, array.shape)
        channels = PerChannel().groups(array.shape, self.weight.channels) if _scales(fit) else terms.groups
        if channels != terms.groups:
            return fit_scaled(self.fitter, array, fit, terms, channels)
        return self.fitter(fit, array, terms)

    def _terms(self, fit: Fit, shape: tuple[int, ...]) -> Terms:
        groups = fit.granularity.groups(shape, self.weight.channels)
        axis = vector_axis(fit, shape, groups, self.weight.channels)
        costs = self.importance(fit, shape)
        return Terms(
            self.legal[fit.encoding],
            groups,
            importance=costs,
            vector_axis=axis,
            has_biases=self.has_biases,
        )

    def importance(self, fit: Fit, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
        """What an error in each element costs, where a fit tells; a user's function is called once."""
        given = getattr(fit, "importance", None)
        if given and id(fit) not in self._costs:
            self._costs[id(fit)] = importance_of(self.weight, given, shape)
        return self._costs.get(id(fit))

    def _nested(self, encoding: Encoding, fit: Fit) -> Encoding:
        """The chain with its last values encoded in turn."""
        if not isinstance(encoding, Affine | Cast | Lut | Sparse):
            raise NotFittable("nothing can be nested in it")
        if not isinstance(encoding.inner, Dense):
            return evolve(encoding, inner=self._nested(encoding.inner, fit))
        if encoding.kind != fit.inside:
            raise NotFittable(f"it ends in {encoding.kind}, not in {fit.inside}")
        values = encoding.inner.array
        if isinstance(encoding, Lut):
            terms = Terms(self.legal[fit.encoding], groups_of_tables(fit.granularity, values.shape))
        else:
            terms = self._terms(fit, values.shape)
        if isinstance(encoding, Sparse):
            terms = evolve(terms, mask=encoding.mask.array() != 0)
        inner = self.fitter(fit, values, terms).encoding
        return evolve(encoding, inner=inner)


def _reassigned(array: NDArray[Any], encoding: Encoding, mask: NDArray[np.bool_] | None) -> Encoding:
    """The chain with indices anew where the table that they refer to has been encoded in turn."""
    if isinstance(encoding, Sparse):
        inner = _reassigned(array, encoding.inner, encoding.mask.array() != 0)
        return evolve(encoding, inner=inner)
    if isinstance(encoding, Lut) and not isinstance(encoding.inner, Dense):
        return reassigned(array, encoding, mask)
    return encoding


def _scales(fit: Fit) -> bool:
    return bool(getattr(fit, "per_channel_scale", False))


def nbits_of(encoding: Encoding) -> int | None:
    """The bits that an index or a number of a chain takes, None where it has neither."""
    if isinstance(encoding, Lut):
        return encoding.indices.nbits
    if isinstance(encoding, Affine) and isinstance(encoding.inner, Dense):
        return int(encoding.inner.dtype.strip("uint"))
    return nbits_of(encoding.inner) if isinstance(encoding, Affine | Cast | Sparse) else None
