"""Plans: rows that are never lost, the printed table, and what the model's format lets stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given

from milpass.errors import UsageError
from milpass.graph import Graph
from milpass.legality import course_of, settle
from milpass.passes import decompress, fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import Pipeline
from milpass.plan import REASONS, Entry, Fitted, Plan, Replaced, Result, Row, Selected, Skipped
from milpass.records import Record
from milpass.targets import Edit
from milpass.testing.strategies import models
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import pipelines, quick

FIT = fit_lut(nbits=4)
DONE = Replaced((FIT,), 9248, Result(nbits=4, squared_error=1.5, max_error=0.1875, snr=19.84))


def weight(named: str, shape: tuple[int, ...], *ops: str, **changes: object) -> Weight:
    readers = tuple(Reader(op, f"{op}_0", "weight", "weight") for op in ops)
    made = Weight(Key("main", (), named), shape, "fp16", Source("weights/weight.bin", 64), readers)
    return evolve(made, **changes)


CONV = weight("conv_weight", (64, 32, 3, 3), "conv")
TABLE = weight("table", (1000, 64), "matmul", "gather", "matmul", dtype="fp32")


class FakeTarget:
    """A model of a format, whose operations of some types mean another thing in the next one."""

    name = "model"
    releases = ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26", "iOS99")

    def __init__(self, format: str, hindrance: str | None = None) -> None:
        self.format = format
        self._hindrance = hindrance
        self.asked: list[str] = []

    def weights(self) -> tuple[Weight, ...]:
        raise AssertionError("the plan has them")

    def parts(self) -> dict[str, FakeTarget]:
        return {"": self}

    def closed(self) -> tuple[Weight, ...]:
        return ()

    def record(self, weight: Weight) -> Record:
        raise AssertionError("planning reads nothing")

    def hindrance(self, format: str) -> str | None:
        self.asked.append(format)
        return self._hindrance

    def destination(self, out: Path | None) -> Path | None:
        raise AssertionError("planning writes nothing")

    def op_counts(self) -> Counter[str]:
        raise AssertionError("nobody counts")

    def graph(self) -> Graph:
        raise AssertionError("no selector asks for it")

    def result(self, out: Path | None) -> object:
        raise AssertionError("planning gives a plan")

    def editing(
        self, out: Path | None, *, overwrite: bool, raise_to: Mapping[str, str]
    ) -> AbstractContextManager[Edit]:
        raise AssertionError("planning writes nothing")


def settled(entry: Entry, target: FakeTarget, of: Weight = CONV, wanted: str | None = None) -> Plan:
    return settle(Plan.of((of,)).update(lambda *_: entry), course_of(target, wanted))


def test_a_new_plan_has_a_row_for_each_weight_and_none_is_chosen() -> None:
    plan = Plan.of((CONV, TABLE))
    assert [row.weight for row in plan.rows] == [CONV, TABLE]
    assert {row.entry for row in plan.rows} == {Skipped("unselected", "no selection pass has looked at it")}
    assert plan.skipped == plan.rows and plan.replaced == () and plan.notes == ()


def test_update_makes_entries_anew_from_weight_and_entry() -> None:
    plan = Plan.of((CONV, TABLE))
    seen: list[tuple[Weight, Entry]] = []

    def entry(of: Weight, found: Entry) -> Entry:
        seen.append((of, found))
        return DONE if of is CONV else found

    updated = plan.update(entry)
    assert seen == [(row.weight, row.entry) for row in plan.rows]
    assert updated.replaced == (Row(CONV, DONE),) and updated.skipped == plan.rows[1:]
    assert plan.replaced == ()


def test_notes_are_added_in_order_and_plans_are_frozen() -> None:
    plan = Plan.of((CONV,))
    assert plan.note("one").note("two").notes == ("one", "two") and plan.notes == ()
    assert plan.note("one").update(lambda _, entry: entry).notes == ("one",)
    with pytest.raises(FrozenInstanceError):
        plan.rows = ()  # type: ignore[misc]


def test_bytes_of_a_row_are_the_weights_own_until_it_is_replaced() -> None:
    assert CONV.nbytes == 64 * 32 * 3 * 3 * 2 == Row(CONV, Selected("s")).nbytes
    assert Row(CONV, Replaced((FIT,))).nbytes == CONV.nbytes
    assert Row(CONV, DONE).nbytes == 9248
    assert [weight("w", (3,), dtype=t).nbytes for t in ("fp16", "bf16", "fp32", "fp64")] == [6, 6, 12, 24]


GOLDEN = """\
weight       op              shape       before  after  bits  SNR dB  max error  outcome
-----------  --------------  ---------  -------  -----  ----  ------  ---------  -------------------------
conv_weight  conv            64x32x3x3   36,864  9,248  4.01    19.8       0.19  lut kmeans 4 bits
exact        conv            64x32x3x3   36,864  9,248  4.01     inf          0  lut kmeans 4 bits
table        gather, matmul  1000x64    256,000                                  selected by a test
fitted       linear          2x2              8                                  fitted: lut kmeans 4 bits
old          constexpr_cast  8x8            128                                  already compressed
eps          -               scalar           2                                  not read
The model is raised.
Another note."""


def test_the_printed_table() -> None:
    entries: dict[Weight, Entry] = {
        CONV: DONE,
        weight("exact", (64, 32, 3, 3), "conv"): Replaced((FIT,), 9248, Result(4, 0.0, 0.0, inf)),
        TABLE: Selected("a test"),
        weight("fitted", (2, 2), "linear"): Fitted((FIT,)),
        weight("old", (8, 8), encoded="constexpr_cast"): Skipped("encoded", "already compressed"),
        weight("eps", ()): Skipped("where", "not read"),
    }
    plan = Plan.of(tuple(entries)).update(lambda of, _: entries[of])
    assert str(plan.note("The model is raised.").note("Another note.")) == GOLDEN


def test_an_empty_plan_prints_its_headings() -> None:
    headings, rule = str(Plan.of(())).splitlines()
    assert " ".join(headings.split()) == "weight op shape before after bits SNR dB max error outcome"
    assert set(rule) == {"-", " "}


@quick(max_examples=20)
@given(models, pipelines)
def test_every_weight_keeps_its_row_whatever_the_passes(
    model: tuple[Weight, ...], pipeline: Pipeline
) -> None:
    plan = Plan.of(model)
    for step in pipeline.passes:
        plan = step.fold(plan)
    plan = settle(plan, course_of(FakeTarget("iOS16"), None))
    assert [row.weight for row in plan.rows] == list(model)
    assert len(plan.replaced) + len(plan.skipped) == len(model), "settled rows are replaced or have a reason"
    lines = str(plan).splitlines()[2:]
    assert len(lines) == len(model) + len(plan.notes)
    assert all(line.startswith(of.name) for line, of in zip(lines, model, strict=False))
    assert all(row.entry.code in REASONS and row.entry.reason for row in plan.skipped)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("left", "code", "reason"),
    [
        (Selected("s"), "unfitted", "selected, but no pass fitted it"),
        (Fitted((FIT,)), "unreplaced", "fitted, but no pass replaced it"),
    ],
)
@pytest.mark.parametrize("format", ["iOS15", "iOS16", "iOS18"])
def test_what_passes_left_undone_is_told(left: Entry, code: str, reason: str, format: str) -> None:
    plan = settled(left, FakeTarget(format))
    assert plan.rows[0].entry == Skipped(code, reason) and plan.notes == ()


def test_reasons_given_before_are_kept() -> None:
    reason = Skipped("rank", "rank 1")
    assert settled(reason, FakeTarget("iOS18")).rows == (Row(CONV, reason),)


@pytest.mark.parametrize(
    ("nbits", "fp16", "fp32"),
    # 2,049 elements: packed indices rounded up to bytes, and a table of 2, 4, 16, 64, 256 entries
    [
        (1, 257 + 4, 257 + 8),
        (2, 513 + 8, 513 + 16),
        (4, 1025 + 32, 1025 + 64),
        (6, 1537 + 128, 1537 + 256),
        (8, 2049 + 512, 2049 + 1024),
    ],
)
def test_bytes_are_predicted_exactly(nbits: int, fp16: int, fp32: int) -> None:
    for dtype, nbytes in (("fp16", fp16), ("fp32", fp32)):
        entry = Replaced((fit_lut(nbits=nbits),))
        plan = settled(entry, FakeTarget("iOS16"), weight("w", (3, 683), "linear", dtype=dtype))
        assert plan.rows[0].entry == evolve(entry, nbytes=nbytes)
        assert plan.rows[0].nbytes == nbytes and plan.notes == ()


@pytest.mark.parametrize("nbits", [3, 5, 7])
def test_bits_that_the_format_cannot_say_are_refused_with_those_it_can(nbits: int) -> None:
    for format in ("iOS15", "iOS16"):
        plan = settled(Replaced((fit_lut(nbits=nbits),)), FakeTarget(format))
        skipped = Skipped("opset", f"iOS16 has no lut of {nbits} bits: 1, 2, 4, 6, 8")
        assert plan.rows[0].entry == skipped and plan.notes == (), "nothing replaced, nothing raised"


def test_one_encoding_inside_another_is_refused_by_ios16() -> None:
    entry = settled(Replaced((FIT, FIT)), FakeTarget("iOS16")).rows[0].entry
    assert isinstance(entry, Skipped) and entry.code == "opset" and "inside" in entry.reason


def test_a_format_without_a_dialect_is_refused_by_its_name() -> None:
    target = FakeTarget("iOS99")
    reason = "milpass writes no compressed constants for iOS99 yet"
    assert settled(Replaced((FIT,)), target).rows[0].entry == Skipped("opset", reason)


@pytest.mark.parametrize("wanted", ["iOS15", "iOS99", "ios18", "", "iOS19"])
def test_a_target_that_there_is_not_is_refused_with_those_there_are(wanted: str) -> None:
    with pytest.raises(UsageError, match="needs one of iOS16, iOS17, iOS18, iOS26"):
        settled(Replaced((FIT,)), FakeTarget("iOS16"), wanted=wanted)


def test_a_model_is_not_lowered() -> None:
    with pytest.raises(UsageError, match="got iOS16 for a model of iOS17, needs iOS17 or later"):
        settled(Replaced((FIT,)), FakeTarget("iOS17"), wanted="iOS16")


def test_what_is_wanted_decides_what_is_legal() -> None:
    three = Replaced((fit_lut(nbits=3),))
    plan = settled(three, FakeTarget("iOS16"), wanted="iOS18")
    assert plan.rows[0].entry == evolve(three, nbytes=18432 * 3 // 8 + 16)
    assert plan.notes == (
        "The model is raised from iOS16 to iOS18; every operation in it means the same there.",
    )


def test_constants_spelled_anew_are_counted() -> None:
    rows = (CONV, weight("old", (8, 8), encoded="constexpr_lut_to_dense"))
    plan = Plan.of(rows).update(lambda of, _: Skipped("encoded", "so") if of.encoded else Replaced((FIT,)))
    for source, wanted, told in (
        ("iOS16", "iOS18", True),
        ("iOS16", "iOS17", False),
        ("iOS18", "iOS26", False),
    ):
        notes = settle(plan, course_of(FakeTarget(source), wanted)).notes
        assert any("1 constants already compressed are spelled anew for iOS18" in n for n in notes) is told


def test_what_hinders_raising_is_told() -> None:
    target = FakeTarget("iOS15", "iOS16 defines anew gather, topk")
    plan = settled(Replaced((FIT,)), target)
    entry = plan.rows[0].entry
    assert isinstance(entry, Skipped) and entry.code == "opset"
    assert "iOS15" in entry.reason and "iOS16 defines anew gather, topk" in entry.reason
    assert target.asked == ["iOS16"] and plan.notes == ()


def test_raising_is_noted_where_something_is_replaced() -> None:
    plan = settled(Replaced((FIT,)), FakeTarget("iOS15"))
    assert plan.rows[0].entry == Replaced((FIT,), 9248), "18,432 indices of 4 bits, 16 entries of fp16"
    assert len(plan.notes) == 1 and plan.notes[0].startswith("The model is raised from iOS15 to iOS16")


def test_ios16_is_not_asked_what_hinders_it_and_not_raised() -> None:
    target = FakeTarget("iOS16", "gather")
    plan = settled(Replaced((FIT,)), target)
    assert len(plan.replaced) == 1 and target.asked == [] and plan.notes == ()


def test_the_three_passes_together() -> None:
    plan = Plan.of((CONV, weight("bias", (64,), "conv")))
    for step in (select_weights(), FIT, replace_const_with_lut()):
        plan = step.fold(plan)
    rows = settle(plan, course_of(FakeTarget("iOS16"), None)).rows
    assert rows[0].entry == Replaced((FIT,), 9248)
    assert rows[1].entry == Skipped("size", "size 64 is not above 2048")


def test_weights_that_grow_are_told() -> None:
    small = weight("small", (8, 8), "linear", dtype="fp16")
    for nbits, notes in ((2, ()), (8, ("1 weights take more bytes than before, small the first.",))):
        fit = fit_lut(nbits=nbits)
        assert settled(Replaced((fit,)), FakeTarget("iOS16"), of=small).notes == notes


def test_what_is_not_compressed_is_not_decompressed() -> None:
    plain, packed = weight("plain", (8, 8), "linear"), evolve(CONV, encoded="constexpr_lut_to_dense")
    plan = decompress().fold(Plan.of((plain, packed)))
    assert [row.entry for row in plan.rows] == [Skipped("plain", "not compressed"), Replaced((decompress(),))]
    assert decompress().fold(plan) == plan
    chosen = plan.update(lambda *_: Selected("hand"))
    assert decompress().fold(chosen).rows[0].entry == Selected("hand")
