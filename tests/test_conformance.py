"""What the comparison of coremltools' tests makes of outcomes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.comparison import BOTH, GAINED, LEFT_OUT, LOST, NEITHER, Comparison, assumed, compare
from tests.conformance.exceptions import HEADING, known_exceptions
from tests.conformance.names import matches, may_choose
from tests.conformance.texts import differences, table

PASSED, FAILED = {"outcome": "passed"}, {"outcome": "failed", "error": "E: no"}


def compared(theirs: Any, ours: Any, **exceptions: str) -> Comparison:
    globs = {f"t.py::{name}": reason for name, reason in exceptions.items()}
    called = {"t.py::a": theirs | {"calls": ["palettize_weights"]}}
    return compare(called, {"t.py::a": ours} if ours else {}, globs, whole=True)


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict"),
    [
        (PASSED, PASSED, BOTH),
        (PASSED, FAILED, LOST),
        (PASSED, {"outcome": "skipped"}, LOST),
        (PASSED, PASSED | {"missed": True}, LOST),
        (PASSED, None, LOST),
        (FAILED, FAILED, NEITHER),
        (FAILED, PASSED, GAINED),
        ({"outcome": "xfailed"}, {"outcome": "xfailed"}, LEFT_OUT),
    ],
)
def test_a_test_has_one_verdict(theirs: Any, ours: Any, verdict: str) -> None:
    found = compared(theirs, ours)
    assert found.verdicts == {"t.py::a": verdict}
    assert found.agrees is (verdict != LOST)
    assert found.counts(calling=True)[verdict] == 1
    assert not found.counts(calling=False)


def test_exceptions_explain_or_are_idle() -> None:
    assert compared(PASSED, FAILED, a="why").agrees
    idle = compared(PASSED, PASSED, a="why")
    assert idle.idle == ["t.py::a"]
    assert not idle.agrees


def test_a_file_that_breaks_off_is_the_error_of_its_tests() -> None:
    theirs = {"t.py::a": PASSED}
    found = compare(theirs, {"t.py": {"outcome": "failed", "error": "ended with -11"}}, {}, whole=True)
    assert found.errors == {"t.py::a": "ended with -11", "t.py": "ended with -11"}
    assert not compare({"t.py": FAILED}, theirs, {}, whole=True).agrees


def test_texts_name_the_difference_and_its_error() -> None:
    found = compared(PASSED, FAILED)
    assert list(differences(found)) == ["passed by theirs only: t.py::a\n    E: no"]
    assert [line.split()[-5:] for line in table(found)][1:] == [list("00010"), list("00000")]


def test_the_table_tells_how_much_is_handed_over() -> None:
    *_, last = table(compared(PASSED, PASSED | {"handed": True}))
    assert last.startswith("in 1 tests")


def test_alone_ours_is_held_to_pass() -> None:
    ours = {"t.py::a": FAILED, "t.py::b": PASSED, "t.py::c": {"outcome": "skipped"}}
    assert list(compare(assumed(ours), ours, {}, whole=True).errors) == ["t.py::a"]


def test_the_page_is_the_list_of_exceptions() -> None:
    rows = "| test | reason |\n|---|---|\n| `t.py::a[*]` | why |\n"
    page = f"# Page\n|not|this|\n{HEADING}\n\n{rows}\n## Next\n|x|y|"
    assert known_exceptions(page) == {"t.py::a[*]": "why"}
    assert all(known_exceptions().values())


def test_globs_take_brackets_for_themselves() -> None:
    assert matches("t.py::a[1-x]", "t.py::a[*-x]")
    assert not matches("t.py::a1", "t.py::a[1]")
    assert may_choose("t.py", ["*::a"])
    assert not may_choose("t.py", ["u.py::a"])
