"""The way back: compressed constants as plain ones."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from milpass.granularity import Granularity, PerTensor
from milpass.passes.base import Pass, choosing
from milpass.plan import REASONS, Entry, Plan, Replaced, Skipped
from milpass.selectors import Selector, anything
from milpass.weight import Weight


@frozen(repr=False)
class decompress(Pass):
    """Store each compressed constant for which `where` holds as the plain values that its readers see.

    What was lost when it was compressed stays lost.
    """

    where: Selector = field(default=anything, **choosing("Decompress those for which this selector holds."))

    replaces: ClassVar[bool] = True
    encoding: ClassVar[str] = "dense"
    mode: ClassVar[str] = "plain"
    nbits: ClassVar[None] = None
    granularity: ClassVar[Granularity] = PerTensor()
    inside: ClassVar[None] = None

    def fold(self, plan: Plan) -> Plan:
        """Mark the compressed constants that are chosen."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        if weight.encoded and self.where.holds(weight):
            return Replaced((self,))
        is_new = isinstance(entry, Skipped) and entry.code == "unselected" and not weight.encoded
        return Skipped("plain", REASONS["plain"]) if is_new else entry
