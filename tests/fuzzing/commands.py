"""The command on a package that may be anything: in this process, or in one of little memory and time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

from click.testing import CliRunner

from milpass.cli import main

# Exit code, standard output, standard error.
Ended: TypeAlias = tuple[int, str, str]

BYTES = 1_500_000_000  # of memory that a process may map
SECONDS = 60
CHOSEN = "select_weights(threshold=50)"
LONGEST = 200_000  # characters that a table of a small model may have


def commands(folder: Path) -> list[list[str]]:
    """What is asked of `net.mlpackage` in a folder; what is written is `out` beside it."""
    model, out = str(folder / "net.mlpackage"), str(folder / "out")
    return [
        ["inspect", model],
        ["inspect", model, "--json"],
        ["palettize", model, "-o", out, "--threshold", "50", "--threads", "2"],
        ["palettize", model, "--dry-run", "--all", "--nbits", "2"],
        ["apply", model, "-o", out, "--json", "-p", f"{CHOSEN} | fit_affine() | replace_const_with_affine()"],
        [
            *("apply", model, "-o", out, "--all", "-p"),
            f"{CHOSEN} | prune_weights(sparsity=0.5) | replace_const_with_sparse()",
        ],
        ["apply", model, "-o", out, "-p", "decompress()"],
        [
            *("apply", model, "--dry-run", "--target", "iOS18", "--json", "-p"),
            f"{CHOSEN} | fit_lut(nbits=3, granularity=PerChannel()) | replace_const_with_lut()",
        ],
    ]


def within(command: list[str], folder: Path) -> Ended:
    """Run a command in this process; raises what would be a traceback."""
    before = everything(folder)
    result = CliRunner().invoke(main, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    _check_files(folder, before, written=result.exit_code == 0)
    return result.exit_code, result.stdout, result.stderr


def spawned(command: list[str], folder: Path) -> Ended:
    """Run a command in a process that has little memory, and not much time."""
    before = everything(folder)
    ended = subprocess.run(
        [sys.executable, "-m", "milpass", *command],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=SECONDS,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each would map memory of its own
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES)),
    )
    _check_files(folder, before, written=ended.returncode == 0)
    return ended.returncode, ended.stdout, ended.stderr


def check(command: list[str], ended: Ended, codes: frozenset[int]) -> None:
    """One clear line for people, the reasons before it where nothing was compressed; data is data."""
    code, output, errors = ended
    lines = errors.splitlines()
    assert code in codes, f"{code}: {errors[-500:]}"
    assert all(line.isprintable() for line in (*output.splitlines(), *lines)), repr(output + errors)
    assert len(output) < LONGEST or "--json" in command
    if code == 0:
        assert errors == ""
    else:
        assert lines[-1].startswith("milpass: ") and lines[-1].endswith("."), errors
        assert code == 3 or (len(lines) == 1 and output == ""), errors
    if "--json" in command and code in (0, 3):
        json.loads(output)


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What is in a folder, however deep; nothing is opened, since some would never end."""
    found = {str(path): path.lstat() for path in folder.rglob("*")}
    return {name: (each.st_mode, each.st_size, each.st_mtime_ns) for name, each in found.items()}


def _check_files(folder: Path, before: dict[str, tuple[int, int, int]], *, written: bool) -> None:
    """The input is as it was, and nothing is there besides but a whole output."""
    out = str(folder / "out")
    after = {name: each for name, each in everything(folder).items() if not name.startswith(out)}
    earlier = {name: each for name, each in before.items() if not name.startswith(out)}
    assert after == earlier, after.items() ^ earlier.items()
    if Path(out).is_file():
        assert written and Path(folder / "net.mlpackage").is_file()
        Path(out).unlink()
    if Path(out).exists():
        assert written and (Path(out) / "Manifest.json").is_file()
        for path in sorted(Path(out).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        Path(out).rmdir()
