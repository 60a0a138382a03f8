"""Runs of the command that are killed: at a step on the file system, or after a time.

A server, a process of its own that has loaded everything, forks a child for each run; so a run takes
milliseconds, and a hundred of them can be killed.  Steps are counted by Python's audit events about files.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as count_from
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

ROOT = Path(__file__).parents[1]
# Steps wherever they are; those that are steps below the folder of the destination; names of functions.
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
LOOKS = {"open", "os.listdir", "os.scandir"}
EXCHANGES = {"renameat2", "renamex_np"}


@frozen
class Run:
    """A run of the command, and how it is to end."""

    arguments: list[str]
    folder: str  # of the destination
    signal: int | None = None
    step: int | None = None  # before which of its steps, counted from 1
    after: float | None = None  # or after so many seconds
    exchange: bool = True  # whether the file system can exchange two folders
    limit: int | None = None  # the most bytes that a file may have


@frozen
class Ended:
    """How it ended: as `subprocess` tells it; how many steps it took; seconds."""

    code: int
    stderr: str
    steps: int
    seconds: float


class Server:
    """The process that runs what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, **run: Any) -> Ended:
        """Carry out a `Run`, given by its fields."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(asdict(Run(**run))), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))


@contextmanager
def serving() -> Iterator[Server]:
    """A server, ended afterwards."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONWARNINGS": ""}
    command = [sys.executable, "-c", "from tests.killing import serve; serve()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(process)
        assert process.stdin
        process.stdin.close()


def serve() -> None:
    """Carry out runs from standard input until it ends; what is loaded here, once, no run has to load."""
    import milpass.cli.modules
    import milpass.cli.run
    import milpass.fitting.lut.kmeans  # noqa: F401
    from milpass.plugins import load_plugins
    from milpass.targets.protobuf import parse_model

    load_plugins()
    parse_model(b"", "")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run has its own way, Python's is a traceback
    for line in sys.stdin:
        print(json.dumps(asdict(_ended(Run(**json.loads(line))))), flush=True)


def _ended(run: Run) -> Ended:
    (counted, counter), (said, saying) = os.pipe(), os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(saying, 2)
        _be_the_run(run, counter)
    os.close(counter)
    os.close(saying)
    if run.after is not None and run.signal:
        time.sleep(run.after)
        os.kill(child, run.signal)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begun
    with open(counted, "rb") as steps, open(said) as stderr:
        return Ended(os.waitstatus_to_exitcode(status), stderr.read(), len(steps.read()), seconds)


def _is_step(folder: str, event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "ctypes.dlsym":
        return arguments[1] in EXCHANGES
    return event in CHANGES or (event in LOOKS and folder in str(arguments[0]))


def _be_the_run(run: Run, counter: int) -> None:
    from milpass.cli import main
    from milpass.targets.mlpackage import moving

    if not run.exchange:
        moving.exchange = lambda *_: False  # type: ignore[assignment]
    if run.limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.limit, resource.RLIM_INFINITY))
    steps = count_from(1)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if _is_step(run.folder, event, arguments):
            number = next(steps)  # several threads take steps
            os.write(counter, b".")
            if number == run.step and run.signal:
                os.kill(os.getpid(), run.signal)

    code = 70
    try:
        sys.addaudithook(count)
        main(run.arguments, prog_name="milpass")
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)
