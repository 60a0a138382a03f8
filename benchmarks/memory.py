"""Peak memory of whole processes, imports and mapped files included, as models and weights grow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import models
from benchmarks.process import MILPASS
from benchmarks.rows import Row, Target
from benchmarks.timing import run_command, usage_samples

# Gigabytes of fp16 -> the network that has them.
SIZES = {0.1: "50M", 0.5: "250M", 2.0: "1B"}
SINGLE_ROWS = 25_000


def below(megabytes: int) -> Target:
    """At most so much memory; 600 MB where fp32 weights of any size are fitted."""
    return Target(f"<= {megabytes} MB", lambda used: used <= megabytes)


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Models of many weights, then one weight of 1 GB in fp16 and of 2 GB in fp32; quickly: up to 0.5 GB."""
    for size, name in SIZES.items():
        if not (quick and size > 1):
            yield from _rows(f"package of {size:g} GB of fp16", models.package(name, folder), folder, 200)
    if not quick:
        for dtype, most in (("float16", 200), ("float32", 600)):
            source = models.single_package(SINGLE_ROWS, dtype, folder)
            yield from _rows(f"one {dtype} weight of 500M elements", source, folder, most)


def _rows(what: str, source: Path, folder: Path, most: int) -> Iterator[Row]:
    out = folder / "out.mlpackage"
    run = partial(
        run_command, [MILPASS, "palettize", str(source), "-o", str(out), "--nbits", "4", "--overwrite"]
    )
    run()
    times, memory = usage_samples([run() for _ in range(3)])
    shutil.rmtree(out)
    yield Row(f"{what}, 4 bits: time", "s", times)
    yield Row(f"{what}, 4 bits: peak memory", "MB", memory, target=below(most))
