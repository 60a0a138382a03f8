"""A file of coremltools' tests in a process of its own, where nothing of ours is configured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .names import may_choose
from .peer import MODULES, file_of

ROOT = Path(__file__).parents[2]
Outcomes = dict[str, dict[str, Any]]  # by the name of the test


def command(module: str, ours: bool, globs: Sequence[str]) -> list[str]:
    """Empty settings of its own keep pytest from looking for some above the temporary folder."""
    return [
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", "."),
        *("-p", "no:cacheprovider", "-W", "ignore", "-q", "--tb=short"),
        *("-p", "tests.conformance.plugin", "--outcomes", "outcomes"),
        *(f"--choose={glob}" for glob in globs),
        *(["--ours"] if ours else []),
        *("--pyargs", module),
    ]


def environment(folder: str) -> dict[str, str]:
    """One core for each of two processes; the files that tests leave go with the folder."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": folder,
    }


def run_file(module: str, ours: bool, globs: Sequence[str] = ()) -> Outcomes:
    """What became of the tests of one file; a process that breaks off is told as an error of the file."""
    with TemporaryDirectory(prefix="conformance-") as folder:
        outcomes = Path(folder, "outcomes")
        outcomes.touch()
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        done = subprocess.run(
            command(module, ours, globs),
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in outcomes.read_text().splitlines()]
    # All passed, some failed, none chosen; not collected is in the lines, unless the plugin itself broke.
    if done.returncode not in {0, 1, 5} and not (done.returncode == 2 and lines):
        said = (done.stdout + done.stderr).strip()
        error = f"pytest ended with {done.returncode}: {said.splitlines()[-1:]}"
        lines.append({"test": file_of(module), "outcome": "failed", "error": error, "trace": said})
    return {line.pop("test"): line for line in lines}


def run(
    sides: Sequence[str], globs: Sequence[str] = (), told: Callable[[str], None] = lambda _: None
) -> dict[str, Outcomes]:
    """Outcomes of "theirs" and "ours", whichever are asked for, two processes at a time."""
    results: dict[str, Outcomes] = {side: {} for side in sides}

    def one(module: str, side: str) -> None:
        start = time.perf_counter()
        outcomes = run_file(module, side == "ours", globs)
        results[side] |= outcomes
        passed = sum(line["outcome"] == "passed" for line in outcomes.values())
        seconds = time.perf_counter() - start
        told(f"{file_of(module)}, {side}: {passed} of {len(outcomes)} passed in {seconds:.0f} s")

    with ThreadPoolExecutor(2) as pool:
        modules = [module for module in MODULES if may_choose(file_of(module), globs)]
        jobs = [pool.submit(one, module, side) for module in modules for side in sides]
        for job in jobs:
            job.result()
    return results
