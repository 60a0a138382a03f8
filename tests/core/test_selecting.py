"""Selectors by expression, shape and type, one's own, and what is told of patterns that match nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from milpass import Pipeline, UsageError, deselect_weights, fit_lut, parse, select_weights, selector
from milpass.plan import Fitted, Plan, Selected, Skipped
from milpass.selectors import (
    SELECTORS,
    Selector,
    anything,
    dtype,
    is_weight,
    matches,
    name,
    op_type,
    rank,
    shape,
    size,
    unmatched,
)
from milpass.weight import Key, Reader, Source, Weight


def weight(
    named: str, lengths: tuple[int, ...] = (64, 768), kind: str = "fp16", op: str = "linear"
) -> Weight:
    reader = Reader(op, f"{op}_0", "weight", "weight")
    return Weight(Key("main", (), named), lengths, kind, Source("w.bin", 64), (reader,))


EXPORTED = weight("layers_0_attention_weight_to_fp16")


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (matches("attention"), True),
        (matches("^layers"), True),
        (matches(r"layers.\d+.attention.weight$"), True),
        (matches(r"layers\.0"), False),
        (matches("^attention"), False),
        (matches("LAYERS"), False),
        (rank(2), True),
        (rank(3), False),
        (rank(min=2), True),
        (rank(min=3), False),
        (rank(max=1), False),
        (rank(min=1, max=2), True),
        (shape((64, 768)), True),
        (shape((None, 768)), True),
        (shape([64, None]), True),
        (shape((768, 64)), False),
        (shape((64,)), False),
        (shape((64, 768, None)), False),
        (dtype("fp16"), True),
        (dtype("fp32"), False),
    ],
    ids=repr,
)
def test_what_is_chosen(choice: Selector, chosen: bool) -> None:
    assert choice.holds(EXPORTED) is chosen


@pytest.mark.parametrize(
    "text", ["rank(2)", "rank(min=2, max=4)", "shape((None, 768))", "dtype('fp32')", "matches('a|b')"]
)
def test_texts(text: str) -> None:
    (step,) = parse(f"select_weights(where={text})").passes
    assert isinstance(step, select_weights) and repr(step.where) == text


@pytest.mark.parametrize(
    "text",
    [
        "matches(3)",
        "matches('(')",
        "matches('a{99999999999}')",
        "rank(-1)",
        "rank(2, max=3)",
        "rank('2')",
        "shape(768)",
        "shape((-1, 2))",
        "shape(('a',))",
        "dtype('float16')",
        "dtype(None)",
    ],
)
def test_wrong_arguments_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"got .*, needs ") as raised:
        parse(f"select_weights(where={text})")
    assert "\n" not in str(raised.value)


def test_deselecting_takes_back_whatever_was_intended() -> None:
    first, second = weight("first"), weight("second")
    bias = evolve(weight("bias"), key=Key("main", (), "bias"))
    entries = {first: Selected("a"), second: Fitted((fit_lut(nbits=4),)), bias: Skipped("size", "small")}
    plan = Plan.of(tuple(entries)).update(lambda of, _: entries[of])
    everything = deselect_weights(anything).fold(plan)
    taken_out = Skipped("deselected", "taken out by deselect_weights(where=anything)")
    assert [row.entry for row in everything.rows] == [taken_out, taken_out, Skipped("size", "small")]
    assert deselect_weights(where=name("none")).fold(plan) == plan
    again = select_weights(threshold=0).fold(everything)
    assert isinstance(again.rows[0].entry, Selected)


def test_deselecting_needs_a_selector() -> None:
    for wrong in ("linear", None, op_type):
        with pytest.raises(UsageError, match="where of deselect_weights"):
            deselect_weights(wrong)


MODEL = (weight("layers_0_weight_to_fp16"), weight("layers_1_weight"), weight("head", op="conv"))


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (name("layers.*.weight") & op_type("conv"), []),
        (is_weight | size(min=10**9) | rank(9), []),
        (name("layer_0*"), ["name('layer_0*') matches nothing; near it: layers_0_weight"]),
        (
            ~name("heads") & op_type("line"),
            ["name('heads')", "op_type('line') matches nothing; near it: linear"],
        ),
        (anything & (is_weight | ~matches("^haed$")), ["matches('^haed$') matches nothing; near it: head"]),
        (name("zzzz") | name("zzzz"), ["name('zzzz') matches nothing"]),
    ],
    ids=repr,
)
def test_patterns_that_match_nothing_are_told_once_with_near_names(choice: Selector, told: list[str]) -> None:
    found = list(unmatched(choice, MODEL))
    assert len(found) == len(told)
    assert all(sentence.startswith(start) for sentence, start in zip(found, told, strict=True))


@pytest.fixture(autouse=True)
def vocabulary() -> Iterator[None]:
    known = dict(SELECTORS)
    yield
    SELECTORS.clear()
    SELECTORS.update(known)


def test_a_function_becomes_a_word() -> None:
    @selector
    def square(weight: Weight) -> bool:
        return weight.rank == 2 and weight.shape[0] == weight.shape[1]

    assert square.holds(weight("w", (8, 8))) and not square.holds(EXPORTED)
    pipeline = Pipeline(select_weights(where=is_weight & ~square))
    assert parse(repr(pipeline)) == pipeline and square() == square
    assert "where=is_weight & ~square" in repr(pipeline)


def test_a_function_with_arguments_is_called() -> None:
    @selector
    def wider(weight: Weight, than: int, *, axis: int = -1) -> bool:
        return weight.shape[axis] > than

    assert wider(500).holds(EXPORTED) and not wider(500, axis=0).holds(EXPORTED)
    assert repr(wider(500, axis=0)) == "wider(500, axis=0)"
    pipeline = Pipeline(select_weights(where=wider(500) | wider(3, axis=0)))
    assert parse(repr(pipeline)) == pipeline
    for wrong in ("wider()", "wider(1, 2)", "wider(than=1, bogus=2)", "wider(than=[1])"):
        with pytest.raises(UsageError):
            parse(f"select_weights(where={wrong})")


def test_names_that_are_taken_or_none() -> None:
    def is_weight(weight: Weight) -> bool:
        return True

    for function in (is_weight, lambda weight: True, lambda: True, 3, None):
        with pytest.raises(UsageError, match="selector cannot make"):
            selector(function)


def test_the_same_function_may_be_defined_again() -> None:
    for answer in (True, False):

        @selector
        def again(weight: Weight, answer: bool = answer) -> bool:
            return answer

        (step,) = parse("select_weights(where=again())").passes
        assert isinstance(step, select_weights) and step.where.holds(EXPORTED) is answer


@pytest.mark.parametrize(
    ("answer", "got"),
    [(None, "None"), (3, "3"), ("yes", "'yes'"), (ZeroDivisionError("ha"), "ZeroDivisionError: ha")],
)
def test_answers_that_are_none_are_told_with_the_weight(answer: object, got: str) -> None:
    def asks(weight: Weight) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    told = rf"layers_0.*asks cannot say .* got {got}, needs True or False"
    with pytest.raises(UsageError, match=told) as raised:
        selector(asks).holds(EXPORTED)
    assert raised.value.__cause__ is (answer if isinstance(answer, Exception) else None)


def test_a_plain_function_works_but_has_no_text(tmp_path: Path) -> None:
    def large(weight: Weight) -> bool:
        return weight.size > 1000

    both = (is_weight & large, large & is_weight, large | ~anything, is_weight & (lambda weight: True))
    assert all(choice.holds(EXPORTED) for choice in both)
    pipeline = Pipeline(select_weights(where=large))
    assert f"where=<callable {__file__}:" in repr(pipeline)
    for refused in (lambda: parse(repr(pipeline)), lambda: pipeline.save(tmp_path / "r.milpass")):
        with pytest.raises(UsageError, match=r"got <callable .*needs functions that have a name"):
            refused()
    assert list(tmp_path.iterdir()) == []
