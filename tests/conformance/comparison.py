"""The outcomes of both runs, test by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from .names import matches
from .running import Outcomes

BOTH, NEITHER, GAINED, LOST, LEFT_OUT = "both", "neither", "ours only", "theirs only", "skipped or xfailed"
VERDICTS = (BOTH, NEITHER, GAINED, LOST, LEFT_OUT)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def outcome(outcomes: Outcomes, test: str) -> str:
    return str(outcomes.get(test, {}).get("outcome", "not run"))


def verdict(theirs: str, ours: str, missed: bool) -> str:
    """A pass with calls that milpass.compat does not receive is no pass of ours."""
    passed = ours == "passed" and not missed
    if theirs == "passed":
        return BOTH if passed else LOST
    if theirs == "failed":
        return GAINED if passed else NEITHER
    return LEFT_OUT


@dataclass
class Comparison:
    """What the table, the lists and the exit code are made from."""

    verdicts: dict[str, str]
    calling: set[str]  # tests that call one of the functions
    errors: dict[str, str]  # of tests that only coremltools passes
    handed: set[str] = field(default_factory=set)  # tests with calls that ours lets coremltools carry out
    excepted: dict[str, str] = field(default_factory=dict)  # such a test -> the reason
    idle: list[str] = field(default_factory=list)  # exceptions that no test needs

    @property
    def unexplained(self) -> list[str]:
        return [test for test in self.errors if test not in self.excepted]

    @property
    def agrees(self) -> bool:
        return not self.unexplained and not self.idle

    def counts(self, calling: bool) -> Counter[str]:
        return Counter(v for test, v in self.verdicts.items() if (test in self.calling) is calling)


def error(theirs: Outcomes, ours: Outcomes, test: str) -> str:
    line = ours.get(test) or ours.get(file_of(test)) or theirs.get(test) or {}
    if line.get("outcome") == "passed":
        return "passes, but milpass.compat does not receive its calls"
    return str(line.get("error") or line.get("outcome", "not run"))


def compare(theirs: Outcomes, ours: Outcomes, exceptions: Mapping[str, str], whole: bool) -> Comparison:
    """Every test that either run knows, and what the known exceptions say of it.

    Only whole runs tell that an exception is not needed: its glob may match tests that were not chosen.
    """
    tests = sorted(theirs.keys() | ours.keys())
    verdicts = {
        test: verdict(outcome(theirs, test), outcome(ours, test), ours.get(test, {}).get("missed", False))
        for test in tests
    }
    # A file stands for a run that broke off: what it left out is not known to be alike.
    verdicts |= {test: LOST for test in tests if test == file_of(test)}
    errors = {test: error(theirs, ours, test) for test in tests if verdicts[test] == LOST}
    calling = {test for test in tests if theirs.get(test, {}).get("calls")}
    handed = {test for test in tests if ours.get(test, {}).get("handed")}
    found = Comparison(verdicts, calling, errors, handed)
    for glob, reason in exceptions.items():
        lost = [test for test in errors if matches(test, glob)]
        found.excepted |= dict.fromkeys(lost, reason)
        if whole and not lost:
            found.idle.append(glob)
    return found


def assumed(ours: Outcomes) -> Outcomes:
    """In place of a run of coremltools': it passes whatever ours passes or fails."""
    return {
        test: line | {"outcome": "passed" if line["outcome"] == "failed" else line["outcome"]}
        for test, line in ours.items()
    }
