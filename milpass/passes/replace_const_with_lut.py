"""Palettization: storing the fitted tables."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from milpass.passes.base import Pass
from milpass.plan import Entry, Fitted, Plan, Replaced
from milpass.weight import Weight


@frozen(repr=False)
class replace_const_with_lut(Pass):
    """Store each weight whose fit is a look-up table as that table and packed indices.

    The operation that takes the constant's place keeps its output name, so its readers are untouched.
    """

    replaces: ClassVar[bool] = True

    def fold(self, plan: Plan) -> Plan:
        """Mark the weights whose outermost fit is a look-up table."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        if isinstance(entry, Fitted) and entry.fits[-1].encoding == "lut":
            return Replaced(entry.fits)
        return entry
