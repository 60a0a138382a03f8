"""Carrying out a plan: weight by weight in file order, load, fit, spell, write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from math import inf, log10
from pathlib import Path

from attrs import evolve, frozen

from milpass.composition import Composition, nbits_of
from milpass.dialects import Dialect
from milpass.encodings import Encoding
from milpass.errors import ModelError, NothingCompressed, UsageError
from milpass.findings.chains import Chain, is_divided
from milpass.findings.folder import Folder
from milpass.findings.kept import Kept, fitted
from milpass.findings.octets import Damaged
from milpass.fitting.fitted import FittedWeight, Mistake, NotFittable, Quality
from milpass.jobs import Job, jobs_of
from milpass.legality import Course, raised
from milpass.plan import Entry, Plan, Replaced, Result, Skipped, outcome
from milpass.reading import encoding_of
from milpass.records import Record
from milpass.remote.sending import Sender, refused
from milpass.scheduling import in_order
from milpass.targets import Edit, Target
from milpass.verification import verify
from milpass.weight import Key, Weight

LOGGER = logging.getLogger("milpass")

Progress = Callable[[str, int, int], None]


@frozen
class Work:
    """How a job becomes what is stored."""

    target: Target
    course: Course
    kept: Kept

    def done(self, given: tuple[Job, bytes | None]) -> tuple[Record | None, Entry]:
        """What stores a job's weight, None where its values forbid it, and its entry.

        With the job comes what others have found, None where it is to be found here.
        """
        job, octets = given
        try:
            return self._done(job, octets)
        except MemoryError:
            raise ModelError(
                f"{self.target.name}, constant {job.weight.name}",
                who="milpass",
                cannot="work on its values",
                got=f"too little memory for {job.weight.size:,} of them",
                needs="more of it",
                remedy="Or fewer threads",
            ) from None

    def _done(self, job: Job, octets: bytes | None) -> tuple[Record | None, Entry]:
        weight, entry = job.weight, job.rows[0].entry
        if not isinstance(entry, Replaced):
            return self._spelled_anew(weight), entry
        try:
            found = self._fitted(weight, entry, octets)
        except NotFittable as refusal:
            return None, Skipped("data", str(refusal))
        except Damaged:
            raise refused(job, "other values in its file", "the file that is read here") from None
        record = self.dialect(weight).spell(found.encoding)
        result = _result(found.quality, nbits_of(found.encoding))
        return record, evolve(entry, nbytes=record.nbytes, result=result)

    def _fitted(self, weight: Weight, entry: Replaced, octets: bytes | None) -> FittedWeight:
        try:
            found = self._found(weight) if weight.encoded else None
            array = found.decoded() if found else weight.load()
            composition = self.composition(weight)
            if octets is not None or (self.kept and is_divided(entry.fits)):
                return fitted(Chain(composition, entry.fits, array), self.kept, octets)
            return composition.fitted(entry.fits, array, found)
        except Mistake as mistake:
            raise UsageError(
                weight.name, who=mistake.who, cannot="fit it", got=mistake.got, needs=mistake.needs
            ) from mistake.__cause__

    def composition(self, weight: Weight) -> Composition:
        """How it is fitted."""
        dialect = self.dialect(weight)
        return Composition(weight, dialect.legal, has_biases=dialect.has_biases)

    def _spelled_anew(self, weight: Weight) -> Record:
        return self.dialect(weight).spell(self._found(weight))

    def dialect(self, weight: Weight) -> Dialect:
        """How it is to be spelled."""
        dialect = self.course.of(weight).dialect
        assert dialect is not None
        return dialect

    def legal(self, weight: Weight) -> Mapping[str, Sequence[int]]:
        """The numbers of bits that its format has, by kind of encoding."""
        return self.dialect(weight).legal

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
                needs=f"a compressed constant as {self.course.of(weight).source} has it",
            ) from None


@frozen(kw_only=True)
class Means:
    """How a plan is carried out.

    With `verified` a copy is read again and compared before it takes its place.  What fits find is kept in
    the `cache`, and with `resume` beside the destination until that is written.  An `executor` searches in
    place of the threads, as far as it can.
    """

    threads: int
    overwrite: bool = False
    progress: Progress | None = None
    verified: bool = False
    cache: Folder | None = None
    resume: bool = False
    executor: Executor | None = None


def carry_out(plan: Plan, target: Target, course: Course, out: Path | None, means: Means) -> Plan:
    """Write the model with the plan's weights replaced, and give the plan with its results."""
    raise_to, done = raised(plan, course), plan
    jobs = list(jobs_of(plan, course, raise_to))
    LOGGER.info(
        "%s: %d of %d constants, %d threads", target.name, len(plan.pending), len(plan.rows), means.threads
    )

    def check(source: Target, written: Target) -> None:
        verify(done, source, written, means.threads)

    editing = target.editing(
        out,
        overwrite=means.overwrite,
        raise_to=raise_to,
        check=check if means.verified else None,
        resume=means.resume,
    )
    with editing as edit:
        kept = Kept(Folder(edit.kept) if edit.kept else None, means.cache)
        entries = _stored(edit, Work(target, course, kept), jobs, means)
        done = plan.update(lambda weight, entry: entries.get(weight.key, entry))
        if not done.replaced:
            raise NothingCompressed(done, target.name)
    LOGGER.info("%s: %d constants compressed", target.name, len(done.replaced))
    return done


def _stored(edit: Edit, work: Work, jobs: list[Job], means: Means) -> dict[Key, Entry]:
    """Store the weight of each job; what came of those that were chosen."""
    entries: dict[Key, Entry] = {}
    chosen = sum(isinstance(row.entry, Replaced) for job in jobs for row in job.rows)
    found = _found_by(work, jobs, means)
    with closing(found), closing(in_order(work.done, found, means.threads)) as results:
        for (job, _), (record, entry) in results:
            for row in job.rows:
                if isinstance(row.entry, Replaced):
                    entries[row.weight.key] = entry
                    _report(row.weight.name, len(entries), chosen, entry, means.progress)
                if record:
                    edit.replace(row.weight, record)
    return entries


def _found_by(work: Work, jobs: list[Job], means: Means) -> Generator[tuple[Job, bytes | None], None, None]:
    """Each job with what an executor has found for it, if there is one."""
    if means.executor is not None:
        sender = Sender(means.executor, work.target, work.legal, work.kept, means.threads)
        return sender.answered(jobs)
    return ((job, None) for job in jobs)


def _report(name: str, number: int, chosen: int, entry: Entry, progress: Progress | None) -> None:
    LOGGER.debug("%s: %s", name, outcome(entry))
    if progress:
        progress(name, number, chosen)


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
