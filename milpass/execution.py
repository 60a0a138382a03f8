"""Carrying out a plan: weight by weight in file order, load, fit, spell, write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from math import inf, log10
from pathlib import Path

from attrs import evolve, frozen

from milpass.composition import Composition, nbits_of
from milpass.dialects import Dialect
from milpass.encodings import Encoding
from milpass.errors import ModelError, NothingCompressed, UsageError
from milpass.fitting.fitted import FittedWeight, Mistake, NotFittable, Quality
from milpass.legality import Course
from milpass.plan import Entry, Plan, Replaced, Result, Row, Skipped, outcome
from milpass.reading import encoding_of
from milpass.records import Record
from milpass.scheduling import in_order
from milpass.targets import Target
from milpass.verification import verify
from milpass.weight import Key, Weight

LOGGER = logging.getLogger("milpass")

Progress = Callable[[str, int, int], None]


@frozen
class Job:
    """Rows that share their bytes and their fit, so that one fit and one copy serve them all."""

    rows: tuple[Row, ...]

    @property
    def weight(self) -> Weight:
        """The first row's weight."""
        return self.rows[0].weight


@frozen
class Work:
    """How a job becomes what is stored."""

    target: Target
    course: Course
    dialect: Dialect

    def done(self, job: Job) -> tuple[Record | None, Entry]:
        """What stores the job's weight, None where its values forbid it, and its entry."""
        try:
            return self._done(job)
        except MemoryError:
            raise ModelError(
                f"{self.target.name}, constant {job.weight.name}",
                who="milpass",
                cannot="work on its values",
                got=f"too little memory for {job.weight.size:,} of them",
                needs="more of it",
                remedy="Or fewer threads",
            ) from None

    def _done(self, job: Job) -> tuple[Record | None, Entry]:
        weight, entry = job.weight, job.rows[0].entry
        if not isinstance(entry, Replaced):
            return self._spelled_anew(weight), entry
        try:
            fitted = self._fitted(weight, entry)
        except NotFittable as refusal:
            return None, Skipped("data", str(refusal))
        record = self.dialect.spell(fitted.encoding)
        result = _result(fitted.quality, nbits_of(fitted.encoding))
        return record, evolve(entry, nbytes=record.nbytes, result=result)

    def _fitted(self, weight: Weight, entry: Replaced) -> FittedWeight:
        try:
            found = self._found(weight) if weight.encoded else None
            array = found.decode() if found else weight.load()
            return self._composition(weight).fitted(entry.fits, array, found)
        except Mistake as mistake:
            raise UsageError(
                weight.name, who=mistake.who, cannot="fit it", got=mistake.got, needs=mistake.needs
            ) from mistake.__cause__

    def _composition(self, weight: Weight) -> Composition:
        return Composition(weight, self.dialect.legal, has_biases=self.dialect.has_biases)

    def _spelled_anew(self, weight: Weight) -> Record:
        return self.dialect.spell(self._found(weight))

    def _found(self, weight: Weight) -> Encoding:
        """How a weight is compressed in the model."""
        try:
            return encoding_of(self.target, weight)
        except ValueError as error:
            raise ModelError(
                f"{self.target.name}, constant {weight.name}",
                who="milpass",
                cannot="read its values",
                got=str(error),
                needs=f"a compressed constant as {self.course.source} has it",
            ) from None


def carry_out(
    plan: Plan,
    target: Target,
    course: Course,
    out: Path | None,
    *,
    overwrite: bool,
    threads: int,
    progress: Progress | None,
    verified: bool = False,
) -> Plan:
    """Write the model with the plan's weights replaced, and give the plan with its results.

    With `verified` a copy is read again and compared before it takes its place.
    """
    assert course.dialect is not None
    jobs = list(_jobs(plan, course))
    chosen = len(plan.pending)
    entries: dict[Key, Entry] = {}
    work = Work(target, course, course.dialect)
    LOGGER.info("%s: %d of %d constants, %d threads", target.name, chosen, len(plan.rows), threads)
    done = plan

    def check(source: Target, written: Target) -> None:
        verify(done, source, written, threads)

    editing = target.editing(
        out, overwrite=overwrite, raise_to=course.raised_to, check=check if verified else None
    )
    with editing as edit:
        with closing(in_order(work.done, jobs, threads)) as results:
            for job, (record, entry) in results:
                for row in job.rows:
                    if isinstance(row.entry, Replaced):
                        entries[row.weight.key] = entry
                        _report(row.weight.name, len(entries), chosen, entry, progress)
                    if record:
                        edit.replace(row.weight, record)
        done = plan.update(lambda weight, entry: entries.get(weight.key, entry))
        if not done.replaced:
            raise NothingCompressed(done, target.name)
    LOGGER.info("%s: %d constants compressed", target.name, len(done.replaced))
    return done


def _report(name: str, number: int, chosen: int, entry: Entry, progress: Progress | None) -> None:
    LOGGER.debug("%s: %s", name, outcome(entry))
    if progress:
        progress(name, number, chosen)


def _jobs(plan: Plan, course: Course) -> Iterator[Job]:
    """The weights to be stored anew, in the order of their bytes in the files."""

    def is_stored_anew(row: Row) -> bool:
        if isinstance(row.entry, Replaced):
            return row.entry.is_pending
        return bool(row.weight.encoded and course.spells_anew)

    def shared(row: Row) -> tuple[object, ...]:
        weight = row.weight
        fits = row.entry.fits if isinstance(row.entry, Replaced) else ()
        # Compressed constants may share their indices and not their tables; importance is told by name, too.
        own = weight.encoded or any(getattr(fit, "importance", None) for fit in fits)
        return (weight.source, weight.shape, weight.dtype, weight.channels, fits, weight.key if own else None)

    rows = sorted(filter(is_stored_anew, plan.rows), key=lambda row: row.weight.source)
    for _, together in groupby(rows, key=shared):
        yield Job(tuple(together))


def _result(quality: Quality, nbits: int | None) -> Result:
    """The quality as the plan states it."""
    return Result(
        nbits=nbits,
        squared_error=quality.squared_error,
        max_error=quality.max_error,
        snr=_decibels(quality.signal, quality.squared_error),
        optimum=quality.optimum,
        bound=quality.bound,
        ways=quality.ways,
    )


def _decibels(signal: float, noise: float) -> float:
    """The ratio in dB; infinite without noise."""
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal else -inf
