"""How long a user waits before anything happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.process import MILPASS
from benchmarks.rows import Row, at_least
from benchmarks.timing import interleaved, run_command, usage_samples

COMMANDS = (
    [MILPASS, "--help"],
    [sys.executable, "-c", "import coremltools"],
    [sys.executable, "-c", "pass"],
)


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Our help against their import; an interpreter that does nothing is the floor."""
    runs = [partial(run_command, command) for command in COMMANDS]
    interleaved(1, *runs)
    usages = interleaved(3 if quick else 15, *runs)
    (ours, our_memory), (theirs, their_memory), (floor, least_memory) = map(usage_samples, usages)
    what = "milpass --help, against import coremltools"
    yield Row(f"{what}: time", "s", ours, theirs, floor, ratio=theirs.over(ours), target=at_least(6))
    memory = their_memory.over(our_memory)
    yield Row(f"{what}: peak memory", "MB", our_memory, their_memory, least_memory, ratio=memory)
