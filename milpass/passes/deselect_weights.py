"""Taking weights out of the choice again."""

from __future__ import annotations

from attrs import field, frozen

from milpass.passes.base import Pass, choosing
from milpass.plan import Entry, Plan, Skipped
from milpass.selectors import Selector
from milpass.weight import Weight


@frozen(repr=False)
class deselect_weights(Pass):
    """Take the weights for which `where` holds out of the choice, with whatever was intended for them.

    Weights that no pass has chosen keep the reason that they have.
    """

    where: Selector = field(**choosing("Take out weights for which this selector holds."))

    def fold(self, plan: Plan) -> Plan:
        """Mark the weights that are taken out."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        if isinstance(entry, Skipped) or not self.where.holds(weight):
            return entry
        return Skipped("deselected", f"taken out by {self!r}")
