"""What may be intended for a weight, and why one may be left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import frozen

from milpass.links import Fit
from milpass.weight import Weight

# Why a weight is left as it is: the code by which reasons are grouped.
REASONS: dict[str, str] = {
    "unselected": "no selection pass has looked at it",
    "size": "not more elements than the threshold",
    "where": "the selector does not choose it",
    "deselected": "taken out of the choice again",
    "dtype": "not of a type that can be compressed",
    "kind": "a model in a pipeline of models, of a kind that is not compressed",
    "rank": "a scalar or a vector",
    "barred": "nothing compressed may stand in its place",
    "encoded": "already compressed",
    "plain": "not compressed",
    "unfitted": "selected, but no pass fitted it",
    "unreplaced": "fitted, but no pass replaced it",
    "opset": "the model's format cannot say it",
    "groups": "it cannot be grouped as asked for",
    "data": "its values forbid it",
    "vanished": "gone before it could be replaced",
}

REFUSED_AFTER_CHOICE = frozenset({"unfitted", "unreplaced", "opset", "groups", "data", "vanished"})


@frozen
class Skipped:
    """Left as it is, for a reason."""

    code: str
    reason: str


COMPRESSIBLE = ("fp16", "fp32")

# Why a weight may never be compressed, whatever passes say: code, test, reason, in the order of asking.
NEVER: tuple[tuple[str, Callable[[Weight], bool], Callable[[Weight], str]], ...] = (
    (
        "kind",
        lambda w: w.closed,
        lambda w: w.barred or f"a model of the kind {w.encoded}, which is not compressed",
    ),
    ("encoded", lambda w: bool(w.encoded), lambda w: f"already compressed ({w.encoded})"),
    (
        "rank",
        lambda w: w.rank < 2 and not w.is_one_channel,
        lambda w: f"rank {w.rank}: Core ML may fail on compressed vectors",
    ),
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


UNSELECTED = Skipped("unselected", REASONS["unselected"])
VANISHED = Skipped("vanished", REASONS["vanished"])


@frozen
class Selected:
    """Chosen by a selection pass."""

    by: str


@frozen
class Fitted:
    """To be fitted; the chain of fits, outermost first."""

    fits: tuple[Fit, ...]


@frozen
class Result:
    """What came of a weight: errors against the original, `snr` in dB, sums over its elements.

    `nbits` are the bits an index or a number takes, None where there are none.  `squared_error` and
    `max_error` are of what is stored, `optimum` is the least squared error that any table of real numbers
    attains and `bound` what was proven (None where the mode seeks no optimum); `ways` are the ways in which
    tables were proven (`milpass.fitting.fitted.WAYS`), with their numbers.
    """

    nbits: int | None
    squared_error: float
    max_error: float
    snr: float
    optimum: float | None = None
    bound: float | None = None
    ways: tuple[tuple[str, int], ...] = ()


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


def is_entry(value: object) -> bool:
    """Whether a value is an entry, with fits that say their encoding and mode where it has some."""
    if isinstance(value, Skipped | Selected):
        return True
    if not isinstance(value, Fitted | Replaced) or not isinstance(value.fits, tuple):
        return False
    return bool(value.fits) and all(hasattr(fit, name) for fit in value.fits for name in _ASKED)


# What a fit tells of itself, see `milpass.links.Fit`.
_ASKED = ("encoding", "mode", "nbits", "granularity", "inside")
