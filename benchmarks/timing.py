"""What is measured and how often: interleaved runs, ratios pair by pair, child processes one by one."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import frozen

Result = TypeVar("Result")
LAUNCHER = Path(__file__).with_name("launch.py")


@frozen
class Samples:
    """The results of repeated runs, in the order in which they were made."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def greatest(self) -> float:
        return max(self.values)

    def over(self, other: Samples) -> Samples:
        """These over those, pair by pair: what slows the machine for a while slows both of a pair."""
        return Samples(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


@frozen
class Usage:
    """What one child process took: seconds from its start to its end, peak resident memory in MB."""

    seconds: float
    megabytes: float


def interleaved(rounds: int, *actions: Callable[[], Result]) -> list[tuple[Result, ...]]:
    """Run the actions in turn (A B C, A B C, ...) and give the results of each."""
    results = [tuple(action() for action in actions) for _ in range(rounds)]
    return list(zip(*results, strict=True))


def seconds(action: Callable[[], object]) -> float:
    """The time of one run.  What it made is freed after the clock has stopped."""
    start = time.perf_counter()
    made = action()
    taken = time.perf_counter() - start
    del made
    return taken


def run_command(command: Sequence[str]) -> Usage:
    """Run a command to its end in a process of its own; raises `RuntimeError` where it fails.

    A bare interpreter starts it: Linux counts the memory of the process that starts another as that one's.
    What was written before is on the disk first: who waits for the disk would wait for others' files, too.
    Modules keep their bytecode, as installed ones have it, whatever the environment says.
    """
    os.sync()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *command]
    done = subprocess.run(launcher, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(found["seconds"], found["peak"] * unit / 1e6)


def usage_samples(usages: Sequence[Usage]) -> tuple[Samples, Samples]:
    """Their times and their memory."""
    return (
        Samples(tuple(usage.seconds for usage in usages)),
        Samples(tuple(usage.megabytes for usage in usages)),
    )
