"""Choosing weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from milpass.errors import UsageError
from milpass.passes.base import Pass, argument, choosing, described
from milpass.plan import Entry, Plan, Selected, Skipped
from milpass.selectors import Selector, is_weight
from milpass.weight import Weight

COMPRESSIBLE = ("fp16", "fp32")


def _check_threshold(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(
            argument(attribute, instance),
            who="select_weights",
            cannot="compare element counts",
            got=repr(value),
            needs="an integer of at least 0",
        )


@frozen(repr=False)
class select_weights(Pass):
    """Choose the fp16 and fp32 constants with more than `threshold` elements for which `where` holds.

    Choosing a weight again starts it anew; weights that this pass does not choose keep what they have.
    """

    threshold: int = field(
        default=2048,
        validator=_check_threshold,
        metadata=described("Choose weights with more elements than this.", option=int, shown=True),
    )
    where: Selector = field(default=is_weight, **choosing("Choose weights for which this selector holds."))

    def fold(self, plan: Plan) -> Plan:
        """Mark the chosen, and tell the others why they are not."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        refusal = self._refusal(weight)
        if refusal is None:
            return Selected(repr(self))
        return refusal if isinstance(entry, Skipped) else entry

    def _refusal(self, weight: Weight) -> Skipped | None:
        """The first of REFUSALS that applies."""
        for code, applies, reason in REFUSALS:
            if applies(self, weight):
                return Skipped(code, reason(self, weight))
        return None


def _uses(weight: Weight) -> str:
    """What the readers use a weight for, for the row of one that was not chosen."""
    uses = sorted({f"{r.role or r.input} of {r.op_type}" for r in weight.readers})
    return f" (used as {', '.join(uses)})" if uses else " (not read)"


# Why a weight is not chosen, in the order in which it is asked: code, test, reason.
REFUSALS: tuple[
    tuple[str, Callable[[select_weights, Weight], bool], Callable[[select_weights, Weight], str]],
    ...,
] = (
    ("encoded", lambda _, w: bool(w.encoded), lambda _, w: f"already compressed ({w.encoded})"),
    (
        "size",
        lambda s, w: w.size <= s.threshold,
        lambda s, w: f"size {w.size} is not above {s.threshold}",
    ),
    (
        "rank",
        lambda _, w: w.rank < 2,
        lambda _, w: f"rank {w.rank}: Core ML may fail on compressed vectors",
    ),
    (
        "dtype",
        lambda _, w: w.dtype not in COMPRESSIBLE,
        lambda _, w: f"{w.dtype}: only fp16 and fp32 are compressed",
    ),
    ("barred", lambda _, w: w.barred is not None, lambda _, w: str(w.barred)),
    (
        "where",
        lambda s, w: not s.where.holds(w),
        lambda s, w: f"not chosen by {s.where!r}{_uses(w)}",
    ),
)
