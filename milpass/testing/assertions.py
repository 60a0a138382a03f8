"""Assertions for tests of passes, for pytest and unittest alike."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.errors import NothingCompressed, UsageError
from milpass.passes import Pass
from milpass.pipeline import Pipeline, apply, parse
from milpass.plan import Plan
from milpass.reading import read_weights
from milpass.targets import open_target
from milpass.testing.mini_mil import normalized, print_program, read_program


def assert_rewrites(pipeline: Pipeline | Pass, *, before: Any, after: str) -> Plan:
    """Assert that a pipeline makes `after` of `before`, both in mini-MIL; gives the plan.

    Also, that the result is a valid program, that running the pipeline again changes nothing, and that
    `parse` reads what it prints, where it has a text.  `before` may be a coremltools `Program`, which is then
    edited.  Raises `AssertionError` with the lines that differ and the reasons of the plan.
    """
    pipeline = Pipeline(pipeline)
    _assert_has_its_text(pipeline)
    program = read_program(before) if isinstance(before, str) else before
    plan = _carried_out(pipeline, program)
    expected, made = _in_normal_form(after), print_program(program)
    if made != expected:
        raise AssertionError(_difference("expected", expected, "made of it", made, plan))
    program.validate()
    again = _carried_out(pipeline, program)
    if print_program(program) != made:
        message = _difference("after one run", made, "after a second", print_program(program), again)
        raise AssertionError(f"a second run of {pipeline!r} changes the program again\n{message}")
    return plan


def _carried_out(pipeline: Pipeline, program: Any) -> Plan:
    """The plan of a run, also where it left everything as it was."""
    try:
        return apply(pipeline, program)[1]
    except NothingCompressed as nothing:
        return nothing.plan


def _in_normal_form(text: str) -> str:
    """As the text's program prints; where coremltools cannot build it, as the text alone tells."""
    try:
        return print_program(read_program(text))
    except UsageError:
        return normalized(text)


def _assert_has_its_text(pipeline: Pipeline) -> None:
    text = repr(pipeline)
    if "<callable " not in text and parse(text) != pipeline:
        raise AssertionError(f"parse makes another pipeline of {text}: {parse(text)!r}")


def _difference(left: str, before: str, right: str, after: str, plan: Plan) -> str:
    """The lines that differ, in their surroundings, and what the plan says of each weight."""
    lines = unified_diff(before.splitlines(), after.splitlines(), left, right, lineterm="", n=99)
    return "\n".join(["the program is not as expected", *lines, "", "the plan:", str(plan)])


def assert_op_counts(model: Any, **counts: int) -> None:
    """Assert how often operation types occur in a model, in all functions and blocks.

    `model` is a mini-MIL text, a `Program`, an `MLModel` or the path of a package.  Types that are not named
    may occur any number of times.
    """
    opened = open_target(read_program(model) if isinstance(model, str) and "def " in model else model)
    found = opened.op_counts()
    wrong = [f"{op}: {found[op]}, not {count}" for op, count in counts.items() if found[op] != count]
    if wrong:
        held = ", ".join(f"{op} {count}" for op, count in sorted(found.items()))
        raise AssertionError(f"operations of {opened.name}: {'; '.join(wrong)} (it has: {held})")


def assert_weights_close(before: Any, after: Any, *, snr_db: float) -> None:
    """Assert that each weight of `before` is in `after`, decoded, with at least `snr_db` of signal to noise.

    Each is a model, or a mapping of names to arrays such as `milpass.read_weights` gives: take that of a
    `Program` before it is edited in place.
    """
    originals, decoded = _arrays(before), _arrays(after)
    wrong = [f"{name}: it is gone" for name in originals if name not in decoded]
    for name in originals.keys() & decoded.keys():
        if problem := _too_far(originals[name], decoded[name], snr_db):
            wrong.append(f"{name}: {problem}")
    if wrong:
        raise AssertionError("weights differ:\n" + "\n".join(sorted(wrong)))


def _arrays(model: Any) -> Mapping[str, NDArray[Any]]:
    return model if isinstance(model, Mapping) else read_weights(model)


def _too_far(original: NDArray[Any], decoded: NDArray[Any], snr_db: float) -> str | None:
    if original.shape != decoded.shape:
        return f"shape {decoded.shape}, not {original.shape}"
    exact = original.astype(np.float64)
    noise = float(np.sum(np.square(exact - decoded.astype(np.float64))))
    signal = float(np.sum(np.square(exact)))
    found = inf if noise == 0 else 10 * log10(signal / noise) if signal else -inf
    return None if found >= snr_db else f"{found:.1f} dB of signal to noise, not {snr_db:g}"
