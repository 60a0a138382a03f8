"""Threads: results in the order of the jobs, few at a time, nothing begun after the end."""

from __future__ import annotations

import random
import threading
import time

import pytest

from milpass import UsageError
from milpass.scheduling import check_threads, in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_jobs(threads: int) -> None:
    delays = random.Random(0)

    def work(job: int) -> int:
        time.sleep(delays.random() / 1000)
        return job * job

    assert list(in_order(work, range(30), threads)) == [(job, job * job) for job in range(30)]
    assert list(in_order(work, [], threads)) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_few_results_exist_at_a_time(threads: int) -> None:
    taken, most, begun, lock = 0, 0, 0, threading.Lock()

    def work(job: int) -> int:
        nonlocal begun, most
        with lock:
            begun += 1
            most = max(most, begun - taken)
        return job

    for _ in in_order(work, range(40), threads):
        time.sleep(0.0005)
        taken += 1
    assert begun == 40 and most <= threads + 2, "those waiting, and the one handed over"


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_job_raises_comes_in_its_place(threads: int) -> None:
    def work(job: int) -> int:
        if job == 7:
            raise ZeroDivisionError
        return job

    seen = []
    with pytest.raises(ZeroDivisionError):
        for job, _ in in_order(work, range(1000), threads):
            seen.append(job)
    assert seen == list(range(7))


def test_closing_early_begins_no_more_jobs() -> None:
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        return job

    results = in_order(work, range(1000), 2)
    next(results)
    results.close()
    time.sleep(0.05)
    assert len(begun) <= 6


@pytest.mark.parametrize("threads", [0, -1, 2.0, "2", True])
def test_numbers_of_threads_that_are_none(threads: object) -> None:
    with pytest.raises(UsageError, match="an integer of at least 1"):
        check_threads(threads)
