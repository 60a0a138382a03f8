"""Texts run by a process that has imported coremltools once: each in a child that it forks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[1]


class Warm:
    """The process that runs what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, text: str, folder: Path) -> tuple[int, str]:
        """Run a text in a folder; gives its exit code, and what it wrote to standard output and error."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([text, str(folder)]), file=self._process.stdin, flush=True)
        code, written = json.loads(self._process.stdout.readline())
        return code, written


@contextmanager
def warm() -> Iterator[Warm]:
    """Such a process, every warning an error, ended afterwards."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-W", "error", "-c", "from tests.warm import serve; serve()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Warm(process)
        assert process.stdin
        process.stdin.close()


def serve() -> None:
    """Run texts from standard input until it ends; a child leaves as Python does, whatever it registered."""
    said = sys.stdout
    sys.stdout = sys.stderr  # of coremltools' import nothing may come between the answers
    import coremltools  # noqa: F401

    sys.stdout = said
    for line in sys.stdin:
        text, folder = json.loads(line)
        with tempfile.TemporaryFile("w+") as written:
            child = os.fork()
            if not child:
                _be_the_text(text, folder, written)
                return
            _, status = os.waitpid(child, 0)
            written.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status), written.read()]), flush=True)


def _be_the_text(text: str, folder: str, written: TextIO) -> None:
    for stream in (1, 2):
        os.dup2(written.fileno(), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(text, "<string>", "exec"), vars(main))
