"""The pytest plugin of one run: puts functions in place, watches calls of them, writes what became of tests.

It is loaded with `-p`, so that coremltools' functions are replaced before its tests are imported.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import textwrap
from contextlib import ExitStack
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .names import chosen
from .watching import Calls

GIVE_UP = pytest.xfail.Exception


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", help="file that gets one line of JSON per test")
    parser.addoption("--choose", action="append", default=[], help="glob of tests to run")
    parser.addoption("--ours", action="store_true", help="with milpass.compat in coremltools' place")


def pytest_configure(config: pytest.Config) -> None:
    if find_spec("torchvision") is None:
        # Imported for a few models; tests that want those fail with either's functions.
        sys.modules["torchvision"] = module_from_spec(ModuleSpec("torchvision", None))
    pytest.xfail = expected_failure
    config.pluginmanager.register(Recorder(config, config.getoption("--ours")))


def expected_failure(reason: str = "") -> None:
    """Tests give up on x86_64 for the sake of predictions there, of which Linux has none: they go on."""
    if "x86_64" not in reason:
        raise GIVE_UP(reason)


def name_of(item: pytest.Item) -> str:
    """File and test, without the folder that coremltools is installed in."""
    return f"{item.path.name}::{item.nodeid.partition('::')[2]}"


class Recorder:
    """The functions in place, and the lines written so far."""

    def __init__(self, config: pytest.Config, ours: bool) -> None:
        self.path = Path(config.getoption("--outcomes"))
        self.globs = config.getoption("--choose")
        self.line: dict[str, Any] = {}
        stack = ExitStack()
        config.add_cleanup(stack.close)
        self.calls = Calls(ours, stack)

    def write(self, line: dict[str, Any]) -> None:
        # Line by line: what ran before a crash is known after it.
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if chosen(name_of(item), self.globs)]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            name = Path(report.nodeid.partition("::")[0]).name
            self.write({"test": name, "outcome": "failed"} | error_of(report))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        seed()
        self.calls.begin()
        self.line = {"test": name_of(item), "seconds": 0.0}
        done = yield
        calls = self.calls
        self.write(self.line | {"calls": calls.names, "missed": calls.missed, "handed": calls.handed})
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.line["seconds"] += report.duration
        if report.failed:
            self.line |= {"outcome": "failed"} | error_of(report)
        elif hasattr(report, "wasxfail"):
            self.line["outcome"] = "xfailed" if report.skipped else "xpassed"
        elif report.skipped or report.when == "call":
            self.line.setdefault("outcome", report.outcome)


def error_of(report: pytest.CollectReport | pytest.TestReport) -> dict[str, str]:
    """The error in a line, and all of it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    last = crash.message if crash else report.longreprtext.strip().rpartition("\n")[2]
    return {"error": textwrap.shorten(last, 160, placeholder=" ..."), "trace": report.longreprtext}


def seed() -> None:
    """The tests draw their weights: both runs get the same."""
    random.seed(0)
    np.random.seed(0)
    if find_spec("torch") is not None:  # tests of neural networks do without
        importlib.import_module("torch").manual_seed(0)
