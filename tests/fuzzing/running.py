"""Cases one after the other, within limits of time and memory, and what came of them."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from attrs import define, field

from tests.fuzzing.cases import Case

SECONDS = 20  # for one case
BYTES = 1 << 30  # that a case may map beyond what the process has


class TooSlow(BaseException):
    """A case takes longer than any may; no handler of errors takes it for one."""


@define
class Report:
    """Counts by outcome, failures by case, the slowest case and the greatest memory."""

    seed: str
    outcomes: Counter[str] = field(factory=Counter)
    failures: dict[str, str] = field(factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    seconds: float = 0.0

    def __str__(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "linux" else 1024)
        lines = [f"{count:7,}  {outcome}" for outcome, count in self.outcomes.most_common()]
        lines.append(f"{self.outcomes.total():,} cases in {self.seconds:.0f} s, seed {self.seed}")
        lines.append(f"slowest: {self.slowest[0]:.2f} s, --case {self.slowest[1]}")
        lines.append(f"greatest memory of the process: {peak // 1024:,} MB")
        lines += [f"FAILED: python -m tests.fuzzing --case {c}\n{why}" for c, why in self.failures.items()]
        return "\n".join(lines)


def run(
    seed: str, seconds: float, most: int = sys.maxsize, told: Callable[[Report], None] | None = None
) -> Report:
    """Cases of a seed until the time is over, or so many of them."""
    report, start = Report(seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="milpass-fuzzing-") as name, warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(most):
            if time.monotonic() - start > seconds:
                break
            run_case(f"{seed}:{number}", Path(name) / str(number), report)
            report.seconds = time.monotonic() - start
            if told:
                told(report)
    return report


def run_case(case: str, folder: Path, report: Report) -> None:
    """One case, noted in a report."""
    folder.mkdir()
    start = time.monotonic()
    try:
        with limited():
            report.outcomes[Case(case).outcome(folder)] += 1
    except (Exception, TooSlow) as error:
        report.outcomes[f"FAILED: {type(error).__name__}"] += 1
        report.failures[case] = "".join(traceback.format_exception(error, limit=-8))
    report.slowest = max(report.slowest, (time.monotonic() - start, case))


@contextmanager
def limited() -> Iterator[None]:
    """No case hangs or takes memory beyond reason: what does is interrupted."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    if (mapped := _mapped()) is not None:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + BYTES, before[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS} s")


def _mapped() -> int | None:
    """The bytes of memory that the process has mapped, None where the system does not tell."""
    if sys.platform != "linux":
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
