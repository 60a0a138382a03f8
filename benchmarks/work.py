"""The work alone, in process, no imports: a package to a package, against a copy of its file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import models
from benchmarks.process import copy_package
from benchmarks.rows import Row, at_most
from benchmarks.timing import Samples, interleaved, seconds
from milpass import apply, fit_lut, replace_const_with_lut, select_weights

NBITS = 4
ROUNDS = 5
THREADS = 2


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Two threads without verification in copies of the file; then what verification adds."""
    source, out = models.package("250M", folder), folder / "out.mlpackage"
    measured = interleaved(
        2 if quick else ROUNDS,
        partial(_timed, source, out, verify=False),
        partial(_timed, source, out, verify=True),
        partial(_copied, source, out),
    )
    plain, verified, copies = map(Samples, measured)
    what = f"250M fp16 weights, {NBITS} bits, in process, {THREADS} threads"
    yield Row(
        f"{what}: copies of the file",
        "s",
        plain,
        floor=copies,
        ratio=plain.over(copies),
        target=at_most(2.5),
    )
    yield Row(
        f"{what}, verified: times as long",
        "s",
        verified,
        plain,
        ratio=verified.over(plain),
        target=at_most(1.5),
    )


def _timed(source: Path, out: Path, *, verify: bool) -> float:
    pipeline = select_weights() | fit_lut(nbits=NBITS) | replace_const_with_lut()
    os.sync()
    took = seconds(lambda: apply(pipeline, source, out, threads=THREADS, verify=verify))
    shutil.rmtree(out)
    return took


def _copied(source: Path, out: Path) -> float:
    os.sync()
    took = seconds(lambda: copy_package(source, out))
    shutil.rmtree(out)
    return took
