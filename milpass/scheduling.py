"""Work in several threads, results in order, a bounded number of them waiting."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from milpass.errors import UsageError

Job = TypeVar("Job")
Done = TypeVar("Done")

MOST_THREADS = 8
# Elements of a weight, on the average, below which threads wait for one another longer than they work.
SMALL = 1 << 14
# Elements of all weights that take less time than it takes to share them among threads, where each takes
# nanoseconds.
FEW = 1 << 22


def default_threads() -> int:
    """The processors that this process may use, up to 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)


def are_few(sizes: Sequence[int]) -> bool:
    """Whether weights have so few elements together that quick work on them is not worth sharing."""
    return sum(sizes) < FEW


def are_small(sizes: Sequence[int]) -> bool:
    """Whether weights have so few elements that one thread is done with them sooner than several."""
    return sum(sizes) < SMALL * len(sizes)


def check_threads(threads: object) -> None:
    """Refuse a number of threads that is none."""
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise UsageError(
            "threads",
            who="milpass",
            cannot="start threads",
            got=repr(threads),
            needs="an integer of at least 1",
        )


def check_executor(executor: object) -> None:
    """Refuse what is no executor."""
    if executor is not None and not isinstance(executor, Executor):
        client = callable(getattr(executor, "get_executor", None))
        raise UsageError(
            "executor",
            who="milpass",
            cannot="fit weights by it",
            got=f"a {type(executor).__name__}",
            needs="a concurrent.futures.Executor",
            remedy="Hand over its get_executor()" if client else None,
        )


def in_order(
    function: Callable[[Job], Done], jobs: Iterable[Job], threads: int
) -> Generator[tuple[Job, Done], None, None]:
    """Each job with its result, in the order of the jobs; at most threads + 1 results exist at a time."""
    if threads == 1:
        for job in jobs:
            yield job, function(job)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="milpass")
    try:
        yield from _pooled(pool, function, iter(jobs), threads + 1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for a fit to end


def _pooled(
    pool: ThreadPoolExecutor, function: Callable[[Job], Done], jobs: Iterator[Job], window: int
) -> Iterator[tuple[Job, Done]]:
    waiting: deque[tuple[Job, Future[Done]]] = deque()
    waiting.extend((job, pool.submit(function, job)) for job in islice(jobs, window))
    while waiting:
        job, future = waiting.popleft()
        yield job, future.result()
        waiting.extend((job, pool.submit(function, job)) for job in islice(jobs, 1))
