"""Carrying out a plan: weight by weight in file order, load, fit, spell, write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from milpass.errors import NothingCompressed
from milpass.fitting.finding import searches
from milpass.jobs import Job, jobs_of
from milpass.legality import Course, raised
from milpass.links import Fit, are_found
from milpass.plan import Entry, Plan, Replaced, outcome
from milpass.scheduling import are_few, are_small, in_order
from milpass.targets import Edit, Target
from milpass.verification import verify
from milpass.weight import Key
from milpass.work import Work

if TYPE_CHECKING:
    from milpass.findings.folder import Folder
    from milpass.findings.kept import Kept

LOGGER = logging.getLogger("milpass")

Progress = Callable[[str, int, int], None]

# Encodings whose fits take a few nanoseconds an element, unless they search.
QUICK = frozenset({"affine", "cast", "dense", "sparse"})


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
        work = Work(target, course, _kept(edit, means))
        entries = _stored(edit, work, jobs, means)
        done = plan.update(lambda weight, entry: entries.get(weight.key, entry))
        if not (done.replaced or done.is_edited):
            raise NothingCompressed(done, target.name)
    LOGGER.info("%s: %d constants compressed", target.name, len(done.replaced))
    return done


def _stored(edit: Edit, work: Work, jobs: list[Job], means: Means) -> dict[Key, Entry]:
    """Store the weight of each job; what came of those that were chosen."""
    entries: dict[Key, Entry] = {}
    chosen = sum(isinstance(row.entry, Replaced) for job in jobs for row in job.rows)
    found = _found_by(work, jobs, means)
    threads = 1 if _is_short(jobs) else means.threads
    with closing(found), closing(in_order(work.done, found, threads)) as results:
        for (job, _), (record, entry) in results:
            for row in job.rows:
                if isinstance(row.entry, Replaced):
                    entries[row.weight.key] = entry
                    _report(row.weight.label, len(entries), chosen, entry, means.progress)
                if record:
                    edit.replace(row.weight, record)
    return entries


def _is_short(jobs: Sequence[Job]) -> bool:
    """Whether one thread has done it all before a second would have gained anything."""
    sizes = [job.weight.size for job in jobs]
    if are_small(sizes):
        return True
    return are_few(sizes) and all(_is_quick(fit) for job in jobs for fit in job.fits)


def _is_quick(fit: Fit) -> bool:
    if are_found([fit]):
        return True
    return (fit.encoding in QUICK or fit.mode == "uniform") and not searches(fit)


def _kept(edit: Edit, means: Means) -> Kept | None:
    """Where what fits find is kept, if anywhere."""
    if edit.kept is None and means.cache is None:
        return None
    from milpass.findings.folder import Folder
    from milpass.findings.kept import Kept

    return Kept(Folder(edit.kept) if edit.kept else None, means.cache)


def _found_by(work: Work, jobs: list[Job], means: Means) -> Generator[tuple[Job, bytes | None], None, None]:
    """Each job with what an executor has found for it, if there is one."""
    if means.executor is None:
        return ((job, None) for job in jobs)
    from milpass.remote.sending import Sender

    sender = Sender(means.executor, work.target, work.legal, work.kept, means.threads)
    return sender.answered(jobs)


def _report(name: str, number: int, chosen: int, entry: Entry, progress: Progress | None) -> None:
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("%s: %s", name, outcome(entry))
    if progress:
        progress(name, number, chosen)
