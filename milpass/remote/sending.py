"""Jobs with what an executor has found for them, in their order, a bounded number of them begun ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import closing
from typing import Any, TypeAlias

from attrs import frozen

from milpass.composition import Composition
from milpass.errors import UsageError
from milpass.findings.chains import Chain
from milpass.findings.kept import Kept, garbled, refused
from milpass.findings.keys import key_of
from milpass.jobs import Job
from milpass.remote.tasks import answer_size, task_of
from milpass.remote.worker import Task, search
from milpass.scheduling import in_order
from milpass.targets import Target
from milpass.weight import Weight

# Tasks that are begun before the first of them is waited for, and bytes of what they may find.
MOST_TASKS = 256
MOST_BYTES = 1 << 26
# What a search answers in the place of bytes.
REFUSAL = {"got", "needs"}

# A job, what was begun for it, the bytes that it may find
_Begun: TypeAlias = tuple[Job, "Future[bytes | dict[str, str]] | None", int]


@frozen(eq=False)
class Sender:
    """Sends the searches of a run to an executor, but for those whose outcome is kept."""

    executor: Executor
    target: Target
    legal: Callable[[Weight], Mapping[str, Sequence[int]]]
    kept: Kept | None
    threads: int

    def answered(self, jobs: Iterable[Job]) -> Generator[tuple[Job, bytes | None], None, None]:
        """Each job with the findings of an executor, None where it is carried out here.

        Raises `UsageError` where the executor does not find any.
        """
        # what is kept is told by all values of a weight, so that is asked in several threads
        asked = in_order(self._task, jobs, self.threads if self.kept else 1)
        with closing(asked), closing(self._begun(asked)) as begun:
            for job, future, _ in begun:
                yield job, None if future is None else self._answer(job, future)

    def _task(self, job: Job) -> Task | None:
        legal = self.legal(job.weight)
        task = task_of(self.target, job, legal)
        if task is None or self.kept is None:
            return task
        chain = Chain(Composition(job.weight, legal), job.fits, job.weight.load())
        return task if self.kept.get(key_of(chain)) is None else None

    def _begun(self, asked: Iterator[tuple[Job, Task | None]]) -> Generator[_Begun, None, None]:
        """Each job when it is its turn, those after it begun; in the end nothing waits to be begun."""
        waiting: deque[_Begun] = deque()
        try:
            for job, task in asked:
                size = answer_size(job.weight, job.fits) if task else 0
                waiting.append((job, self._submitted(job, task) if task else None, size))
                while len(waiting) >= MOST_TASKS or sum(each[2] for each in waiting) > MOST_BYTES:
                    yield waiting[0]
                    waiting.popleft()
            while waiting:
                yield waiting[0]
                waiting.popleft()
        finally:
            for _, future, _ in waiting:
                if future is not None:
                    future.cancel()

    def _submitted(self, job: Job, task: Task) -> Future[bytes | dict[str, str]]:
        try:
            return self.executor.submit(search, task)
        except Exception as error:
            raise self._failed(job, error) from error

    def _answer(self, job: Job, future: Future[bytes | dict[str, str]]) -> bytes:
        try:
            answer: Any = future.result()
        except Exception as error:
            raise self._failed(job, error) from error
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, dict) and answer.keys() == REFUSAL:
            raise refused(job.weight.label, str(answer["got"]), str(answer["needs"]))
        raise garbled(job.weight.label)

    def _failed(self, job: Job, error: Exception) -> UsageError:
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, CancelledError):
            said = "a task that was cancelled, as by a cluster that has ended"
        return refused(
            job.weight.label, said, f"a {type(self.executor).__name__} that carries out what it is given"
        )
