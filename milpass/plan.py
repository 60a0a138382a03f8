"""What is intended for each weight of a model, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeAlias

from attrs import evolve, frozen

from milpass.tabulation import tabulate
from milpass.weight import Weight

# Why a weight is left as it is: the code by which reasons are grouped.
REASONS: dict[str, str] = {
    "unselected": "no selection pass has looked at it",
    "size": "not more elements than the threshold",
    "where": "the selector does not choose it",
    "deselected": "taken out of the choice again",
    "dtype": "not of a type that can be compressed",
    "rank": "a scalar or a vector",
    "barred": "nothing compressed may stand in its place",
    "encoded": "already compressed",
    "unfitted": "selected, but no pass fitted it",
    "unreplaced": "fitted, but no pass replaced it",
    "opset": "the model's format cannot say it",
    "data": "its values forbid it",
    "vanished": "gone before it could be replaced",
}

REFUSED_AFTER_CHOICE = frozenset({"unfitted", "unreplaced", "opset", "data", "vanished"})


class Fit(Protocol):
    """What a fit pass records: which encoding, by which mode, in how many bits."""

    encoding: ClassVar[str]

    @property
    def mode(self) -> str:
        """A mode of the encoding, see `milpass.fitting`."""

    @property
    def nbits(self) -> int | None:
        """Bits an index, None where the data tell."""

    @property
    def lut_function(self) -> Callable[[Any], Any] | str | None:
        """A user's own function that makes the table, in modes that use one."""


@frozen
class Skipped:
    """Left as it is, for a reason."""

    code: str
    reason: str


COMPRESSIBLE = ("fp16", "fp32")

# Why a weight may never be compressed, whatever passes say: code, test, reason, in the order of asking.
NEVER: tuple[tuple[str, Callable[[Weight], bool], Callable[[Weight], str]], ...] = (
    ("encoded", lambda w: bool(w.encoded), lambda w: f"already compressed ({w.encoded})"),
    ("rank", lambda w: w.rank < 2, lambda w: f"rank {w.rank}: Core ML may fail on compressed vectors"),
    (
        "dtype",
        lambda w: w.dtype not in COMPRESSIBLE,
        lambda w: f"{w.dtype}: only fp16 and fp32 are compressed",
    ),
    ("barred", lambda w: w.barred is not None, lambda w: str(w.barred)),
)


def never(weight: Weight) -> Skipped | None:
    """Why a weight may not be compressed, None where it may."""
    for code, applies, reason in NEVER:
        if applies(weight):
            return Skipped(code, reason(weight))
    return None


_UNSELECTED = Skipped("unselected", REASONS["unselected"])
_VANISHED = Skipped("vanished", REASONS["vanished"])


@frozen
class Selected:
    """Chosen by a selection pass."""

    by: str


@frozen
class Fitted:
    """To be fitted; the chain of fits, outermost last."""

    fits: tuple[Fit, ...]


@frozen
class Result:
    """What came of a weight: errors against the original, `snr` in dB, sums over its elements.

    `nbits` are the bits an index takes.  `squared_error` and `max_error` are of what is stored, `optimum` is
    the least squared error that any table of real numbers attains and `bound` what was proven (None where
    the mode seeks no optimum).
    """

    nbits: int
    squared_error: float
    max_error: float
    snr: float
    optimum: float | None = None
    bound: float | None = None


@frozen
class Replaced:
    """To be stored as fitted, in so many bytes; once carried out, with the result."""

    fits: tuple[Fit, ...]
    nbytes: int | None = None
    result: Result | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it is yet to be carried out."""
        return self.result is None


Entry: TypeAlias = Skipped | Selected | Fitted | Replaced


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

    `formats` are the model's format before and after, once that is settled.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    formats: tuple[str, str] | None = None

    @classmethod
    def of(cls, weights: tuple[Weight, ...]) -> Plan:
        """The plan before any pass."""
        return cls(tuple(Row(weight, _UNSELECTED) for weight in weights))

    def update(self, entry: Callable[[Weight, Entry], Entry]) -> Plan:
        """The plan with each entry made anew."""
        return evolve(self, rows=tuple(Row(row.weight, entry(row.weight, row.entry)) for row in self.rows))

    def renewed(self, weights: tuple[Weight, ...]) -> Plan:
        """The plan for the model as it stands now: entries stay with their weights, by key.

        New weights are unselected; those that are gone have that as their reason.
        """
        known = {row.weight.key: row for row in self.rows}
        rows = [_renewed(known.pop(weight.key, None), weight) for weight in weights]
        gone = [row if _is_done(row) else Row(row.weight, _VANISHED) for row in known.values()]
        return evolve(self, rows=(*rows, *gone))

    def note(self, text: str) -> Plan:
        """The plan with one more note."""
        return evolve(self, notes=(*self.notes, text))

    @property
    def replaced(self) -> tuple[Row, ...]:
        """The rows whose weight is stored anew."""
        return tuple(row for row in self.rows if isinstance(row.entry, Replaced))

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


def _is_done(row: Row) -> bool:
    """Whether its weight has been stored anew."""
    return isinstance(row.entry, Replaced) and not row.entry.is_pending


def _renewed(row: Row | None, weight: Weight) -> Row:
    """The row of a weight as it is now; one that was stored anew is told as it was before."""
    if row is None:
        return Row(weight, _UNSELECTED)
    return row if _is_done(row) else Row(weight, row.entry)


HEADINGS = ("weight", "op", "shape", "before", "after", "bits", "SNR dB", "max error", "outcome")


def cells(row: Row) -> tuple[str, ...]:
    """A row of the printed table."""
    weight, entry = row.weight, row.entry
    result = entry.result if isinstance(entry, Replaced) else None
    sized = isinstance(entry, Replaced) and entry.nbytes is not None
    return (
        weight.name,
        ", ".join(sorted({reader.op_type for reader in weight.readers})) or weight.encoded or "-",
        "x".join(map(str, weight.shape)) or "scalar",
        f"{weight.nbytes:,}",
        f"{row.nbytes:,}" if sized else "",
        f"{8 * row.nbytes / weight.size:.2f}" if sized else "",
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
    chain = " in ".join(_fit(fit, found) for fit in entry.fits)
    return chain if isinstance(entry, Replaced) else f"fitted: {chain}"


def _fit(fit: Fit, found: int | None) -> str:
    """A fit in words; where the data tell the number of bits, the one that was found."""
    nbits = fit.nbits or found
    return f"{fit.encoding} {fit.mode}" + (f" {nbits} bits" if nbits else "")
