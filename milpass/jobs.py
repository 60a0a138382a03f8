"""What a plan asks to be stored anew, in the order of the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from attrs import frozen

from milpass.legality import Course
from milpass.links import Fit
from milpass.plan import Plan, Replaced, Row
from milpass.weight import Weight


@frozen
class Job:
    """Rows that share their bytes and their fit, so that one fit and one copy serve them all."""

    rows: tuple[Row, ...]

    @property
    def weight(self) -> Weight:
        """The first row's weight."""
        return self.rows[0].weight

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The chain of fits, empty where an encoding is but spelled anew."""
        entry = self.rows[0].entry
        return entry.fits if isinstance(entry, Replaced) else ()


def jobs_of(plan: Plan, course: Course, raise_to: Mapping[str, str]) -> Iterator[Job]:
    """The weights to be stored anew, in the order of their bytes in the files."""

    def is_stored_anew(row: Row) -> bool:
        if isinstance(row.entry, Replaced):
            return row.entry.is_pending
        is_raised = not row.weight.closed and course.place(row.weight) in raise_to
        return bool(is_raised and row.weight.encoded and course.of(row.weight).spells_anew)

    def shared(row: Row) -> tuple[object, ...]:
        weight = row.weight
        fits = row.entry.fits if isinstance(row.entry, Replaced) else ()
        # Compressed constants may share their indices and not their tables; importance is told by name, too.
        own = weight.encoded or any(getattr(fit, "importance", None) for fit in fits)
        format = course.of(weight).format  # each part's operations are spelled in its own
        shared_by = weight.key if own else format
        return (weight.source, weight.shape, weight.dtype, weight.channels, fits, shared_by)

    rows = sorted(
        filter(is_stored_anew, plan.rows), key=lambda row: (row.weight.source, course.of(row.weight).format)
    )
    for _, together in groupby(rows, key=shared):
        yield Job(tuple(together))
