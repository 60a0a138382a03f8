"""The assertions of `milpass.testing`: they pass where they should, and fail with what a person can read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given

from milpass import Pass, apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from milpass.plan import Plan, Selected
from milpass.selectors import name
from milpass.targets import open_target
from milpass.testing import (
    assert_op_counts,
    assert_rewrites,
    assert_weights_close,
    print_program,
    read_program,
)
from milpass.testing.strategies import programs
from tests.strategies import quick
from tests.with_coremltools.programs import converted

BEFORE = """
def main(x: fp16[1, 64]):
    w = const(fp16[32, 64])
    y = linear(x=x, weight=w)
    return y
"""
IOS16 = BEFORE.replace(
    "const(fp16[32, 64])", "constexpr_lut_to_dense(indices=uint8[1024], lut=fp16[16], shape=[32, 64])"
)
IOS18 = "@iOS18" + BEFORE.replace(
    "const(fp16[32, 64])", "constexpr_lut_to_dense(indices=uint4[32, 64], lut=fp16[1, 1, 16, 1])"
)
PIPELINE = select_weights(threshold=100) | fit_lut(nbits=4) | replace_const_with_lut()


def test_what_is_rewritten_as_expected_passes() -> None:
    plan = assert_rewrites(PIPELINE, before=BEFORE, after=IOS16)
    assert [row.weight.name for row in plan.replaced] == ["w"]
    assert_rewrites(PIPELINE, before=f"@iOS18\n{BEFORE}", after=IOS18)
    assert_rewrites(PIPELINE, before=read_program(BEFORE), after=IOS16)


def test_what_is_left_as_it_is_passes_too() -> None:
    assert_rewrites(select_weights(10**6) | fit_lut(nbits=4), before=BEFORE, after=BEFORE)


def test_a_difference_is_shown_line_by_line_with_the_reasons() -> None:
    with pytest.raises(AssertionError) as failure:
        assert_rewrites(PIPELINE, before=BEFORE, after=BEFORE)
    lines = str(failure.value).splitlines()
    assert "-    w = const(fp16[32, 64])" in lines
    assert "+    w = constexpr_lut_to_dense(indices=uint8[1024], lut=fp16[16], shape=[32, 64])" in lines
    assert " def main(x: fp16[1, 64]):" in lines
    assert any(line.startswith("w ") and line.endswith("lut kmeans 4 bits") for line in lines)


@frozen(repr=False)
class unstable(Pass):
    """Another selection at each run, as a pass must not have."""

    def fold(self, plan: Plan) -> Plan:
        (free, *_) = [row.weight.key for row in plan.rows if not row.weight.encoded and row.weight.rank == 2]
        return plan.update(lambda weight, entry: Selected("it") if weight.key == free else entry)

    def __repr__(self) -> str:
        return "<callable unstable>"


def test_a_second_run_that_changes_something_fails() -> None:
    before = """
        def main(x: fp16[1, 16]):
            a = const(fp16[16, 16])
            b = const(fp16[16, 16])
            y = matmul(x=x, y=a)
            z = matmul(x=y, y=b)
            return z
    """
    encoded = "constexpr_lut_to_dense(indices=uint8[128], lut=fp16[16], shape=[16, 16])"
    after = before.replace("a = const(fp16[16, 16])", f"a = {encoded}")
    pipeline = unstable() | fit_lut(nbits=4) | replace_const_with_lut()
    with pytest.raises(AssertionError, match=r"a second run of .* changes the program again"):
        assert_rewrites(pipeline, before=before, after=after)


def test_operations_are_counted_in_every_home(tmp_path: Path) -> None:
    program = read_program(BEFORE)
    model = converted(read_program(BEFORE))
    model.save(str(tmp_path / "m.mlpackage"))
    for home in (BEFORE, program, model, tmp_path / "m.mlpackage", str(tmp_path / "m.mlpackage")):
        assert_op_counts(home, linear=1, conv=0)
        with pytest.raises(
            AssertionError, match=r"linear: 1, not 2; conv: 0, not 1 \(it has: const \d+, linear 1"
        ):
            assert_op_counts(home, linear=2, conv=1)
    apply(PIPELINE, program)
    assert_op_counts(program, constexpr_lut_to_dense=1)


def test_a_text_read_twice_has_the_same_names() -> None:
    names = [[w.name for w in open_target(read_program(BEFORE)).weights()] for _ in range(2)]
    assert names[0] == names[1] == ["w", "y_bias_0"]
    assert_weights_close(read_program(BEFORE), read_program(BEFORE), snr_db=1000)


def test_weights_are_compared_by_their_signal() -> None:
    program = read_program(BEFORE)
    dense = dict(read_weights(program))
    apply(PIPELINE, program)
    palettized = read_weights(program)["w"].astype(np.float64)
    error = np.sum(np.square(palettized - dense["w"].astype(np.float64)))
    snr = 10 * np.log10(np.sum(np.square(dense["w"].astype(np.float64))) / error)
    assert_weights_close(dense, program, snr_db=snr - 0.01)
    assert_weights_close(dense, dense, snr_db=1000)
    with pytest.raises(AssertionError, match=f"w: {snr:.1f} dB of signal to noise, not 90"):
        assert_weights_close(dense, program, snr_db=90)
    with pytest.raises(AssertionError, match="w: it is gone"):
        assert_weights_close(dense, {}, snr_db=0)
    with pytest.raises(AssertionError, match=r"w: shape \(2,\), not \(32, 64\)"):
        assert_weights_close({"w": dense["w"]}, {"w": np.zeros(2)}, snr_db=0)
    with pytest.raises(AssertionError, match="-inf dB"):
        assert_weights_close({"w": np.zeros(2)}, {"w": np.ones(2)}, snr_db=0)


@given(programs())
@quick(40)
def test_drawn_programs_are_valid_and_compress_as_their_plan_says(text: str) -> None:
    program = read_program(text)
    assert print_program(read_program(print_program(program))) == print_program(program)
    pipeline = select_weights(threshold=8, where=name("w*")) | fit_lut(nbits=2) | replace_const_with_lut()
    planned = len(pipeline.plan(program).replaced)
    plan = assert_rewrites(pipeline, before=program, after=rewritten(text)) if planned else None
    assert planned == (len(plan.replaced) if plan else 0) == text.count("    w")


def rewritten(text: str) -> str:
    """What is expected of a drawn program: its matrices as tables of four entries."""

    def spelled(found: re.Match[str]) -> str:
        return found[1] + encoded(int(found[2]), int(found[3]), ios18="@iOS18" in text)

    return re.sub(r"( w\d = )const\(fp16\[(\d+), (\d+)\]\)", spelled, text)


def encoded(rows: int, columns: int, *, ios18: bool) -> str:
    if ios18:
        return f"constexpr_lut_to_dense(indices=uint2[{rows}, {columns}], lut=fp16[1, 1, 4, 1])"
    packed = rows * columns // 4
    return f"constexpr_lut_to_dense(indices=uint8[{packed}], lut=fp16[4], shape=[{rows}, {columns}])"
