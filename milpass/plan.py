"""What is intended for each weight of a model, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attrs import evolve, frozen

from milpass.entries import (
    REASONS,
    REFUSED_AFTER_CHOICE,
    UNSELECTED,
    VANISHED,
    Entry,
    Fitted,
    Replaced,
    Result,
    Selected,
    Skipped,
    never,
)
from milpass.granularity import GRANULARITIES, PerTensor
from milpass.links import Fit
from milpass.tabulation import tabulate
from milpass.weight import Weight

__all__ = [
    "HEADINGS",
    "REASONS",
    "REFUSED_AFTER_CHOICE",
    "Entry",
    "Fit",
    "Fitted",
    "Plan",
    "Replaced",
    "Result",
    "Row",
    "Selected",
    "Skipped",
    "cells",
    "outcome",
]


@frozen
class Row:
    """One weight and its entry."""

    weight: Weight
    entry: Entry

    @property
    def nbytes(self) -> int:
        """The bytes of the weight's values afterwards, as far as known."""
        after = self.entry.nbytes if isinstance(self.entry, Replaced) else None
        return self.weight.nbytes if after is None else after


@frozen
class Plan:
    """The weights of a model, an entry for each, and notes on the model as a whole; holds no arrays.

    `formats` are the model's format before and after, once that is settled; `is_edited` tells whether more
    than weights has changed.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    formats: tuple[str, str] | None = None
    is_edited: bool = False

    @classmethod
    def of(cls, weights: tuple[Weight, ...]) -> Plan:
        """The plan before any pass."""
        return cls(tuple(Row(weight, UNSELECTED) for weight in weights)).update(lambda _, entry: entry)

    def update(self, entry: Callable[[Weight, Entry], Entry]) -> Plan:
        """The plan with each entry made anew, but for those of models that are not looked into."""

        def row(of: Row) -> Row:
            closed = never(of.weight) if of.weight.closed else None
            return Row(of.weight, closed or entry(of.weight, of.entry))

        return evolve(self, rows=tuple(map(row, self.rows)))

    def renewed(self, weights: tuple[Weight, ...]) -> Plan:
        """The plan for the model as it stands now: entries stay with their weights, by key.

        New weights are unselected; chosen ones that are gone have that as their reason.
        """
        known = {row.weight.key: row for row in self.rows}
        rows = [_renewed(known.pop(weight.key, None), weight) for weight in weights]
        gone = [_gone(row) for row in known.values() if _is_chosen(row)]
        return evolve(self, rows=(*rows, *gone))

    def after(self, folded: Plan) -> Plan:
        """A plan folded from this one, but for the rows that had been carried out before."""
        pairs = zip(self.rows, folded.rows, strict=True)
        return evolve(folded, rows=tuple(old if _is_done(old) else new for old, new in pairs))

    def carried_out(self, done: Plan) -> Plan:
        """This plan with what came of the rows that were to be stored; others wait for later passes."""
        came = {row.weight.key: row.entry for row in done.rows}
        return self.update(lambda weight, entry: came[weight.key] if isinstance(entry, Replaced) else entry)

    def detached(self) -> Plan:
        """The plan without its weights' ways to the model, which they would keep alive."""
        rows = (Row(evolve(row.weight, load=None, graph=None, layers=()), row.entry) for row in self.rows)
        return evolve(self, rows=tuple(rows))

    def note(self, text: str) -> Plan:
        """The plan with one more note."""
        return evolve(self, notes=(*self.notes, text))

    @property
    def constants(self) -> tuple[Row, ...]:
        """The rows of constants, without those of models that are not looked into."""
        return tuple(row for row in self.rows if not row.weight.closed)

    @property
    def replaced(self) -> tuple[Row, ...]:
        """The rows whose weight is stored anew."""
        return tuple(row for row in self.rows if isinstance(row.entry, Replaced))

    @property
    def reasons(self) -> str:
        """How many weights are left for which reason, the most frequent first."""
        codes = Counter(row.entry.code for row in self.rows if isinstance(row.entry, Skipped))
        return "; ".join(f"{count} {REASONS.get(code, code)}" for code, count in codes.most_common())

    @property
    def pending(self) -> tuple[Row, ...]:
        """The rows whose weight is yet to be stored anew."""
        return tuple(row for row in self.rows if isinstance(row.entry, Replaced) and row.entry.is_pending)

    @property
    def chosen(self) -> tuple[Row, ...]:
        """The rows that some pass chose, those among them that could not be carried out too."""
        return tuple(
            row
            for row in self.rows
            if not isinstance(row.entry, Skipped) or row.entry.code in REFUSED_AFTER_CHOICE
        )

    @property
    def skipped(self) -> tuple[Row, ...]:
        """The rows whose weight is left as it is."""
        return tuple(row for row in self.rows if isinstance(row.entry, Skipped))

    def __str__(self) -> str:
        return tabulate(HEADINGS, [cells(row) for row in self.rows], self.notes)


def _is_chosen(row: Row) -> bool:
    """Whether a pass chose its weight, one that is gone since among them."""
    return not isinstance(row.entry, Skipped) or row.entry == VANISHED


def _gone(row: Row) -> Row:
    """The row of a weight that is in the model no more."""
    return row if _is_done(row) else Row(row.weight, VANISHED)


def _is_done(row: Row) -> bool:
    """Whether its weight has been stored anew."""
    return isinstance(row.entry, Replaced) and not row.entry.is_pending


def _renewed(row: Row | None, weight: Weight) -> Row:
    """The row of a weight as it is now; one that was stored anew is told as it was before."""
    if row is None:
        return Row(weight, UNSELECTED)
    return row if _is_done(row) else Row(weight, row.entry)


HEADINGS = ("weight", "op", "shape", "before", "after", "bits", "SNR dB", "max error", "outcome")


def cells(row: Row) -> tuple[str, ...]:
    """A row of the printed table."""
    weight, entry = row.weight, row.entry
    result = entry.result if isinstance(entry, Replaced) else None
    sized = isinstance(entry, Replaced) and entry.nbytes is not None
    return (
        weight.label,
        ", ".join(sorted({reader.op_type for reader in weight.readers})) or weight.encoded or "-",
        "x".join(map(str, weight.shape)) or "scalar",
        f"{weight.nbytes:,}",
        f"{row.nbytes:,}" if sized else "",
        f"{8 * row.nbytes / weight.size:.2f}" if sized and weight.size else "",
        f"{result.snr:.1f}" if result else "",
        f"{result.max_error:.2g}" if result else "",
        outcome(entry),
    )


def outcome(entry: Entry) -> str:
    """What an entry says, in words."""
    if isinstance(entry, Skipped):
        return entry.reason
    if isinstance(entry, Selected):
        return f"selected by {entry.by}"
    found = entry.result.nbits if isinstance(entry, Replaced) and entry.result else None
    chain = " > ".join(_fit(fit, found) for fit in entry.fits)
    return chain if isinstance(entry, Replaced) else f"fitted: {chain}"


def _fit(fit: Fit, found: int | None) -> str:
    """A fit in words; where the data tell the number of bits of a table, those that were found."""
    nbits = fit.nbits or (found if fit.encoding == "lut" else None)
    words = [fit.encoding, fit.mode, f"{nbits} bits" if nbits else "", getattr(fit, "detail", "")]
    if fit.granularity != PerTensor() and type(fit.granularity).__name__ in GRANULARITIES:
        words.append(repr(fit.granularity))
    return " ".join(filter(None, words))
