"""Texts of pipelines: what is printed parses back, and what is malformed is refused in words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milpass.errors import UsageError
from milpass.passes import fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import Pipeline, parse
from milpass.selectors import name, op_type
from tests.strategies import EFFORT, pipelines, quick

SHAPE = re.compile(
    r"(?P<what>.+): .+ cannot (?P<do>.+): got (?P<got>.+), needs (?P<needs>.+?)\.(?: (?P<remedy>.+)\.)?"
)

SELECT, FIT, REPLACE = select_weights(threshold=9), fit_lut(nbits=4), replace_const_with_lut()


def refusal(text: str) -> re.Match[str]:
    """The parts of the one line with which a text is refused."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    found = SHAPE.fullmatch(str(raised.value))
    assert found, str(raised.value)
    return found


@quick(max_examples=60)
@given(pipelines)
def test_what_is_printed_parses_back(pipeline: Pipeline) -> None:
    again = parse(repr(pipeline))
    assert again == pipeline and repr(again) == repr(pipeline)
    assert list(map(type, again.passes)) == list(map(type, pipeline.passes))


def test_pipelines_that_differ_are_not_equal() -> None:
    assert parse("fit_lut(nbits=4)") != parse("fit_lut(nbits=6)")
    assert parse("select_weights(where=is_weight)") != parse("select_weights(where=anything)")
    assert Pipeline(SELECT, FIT) != Pipeline(FIT, SELECT)


def test_the_text_of_the_design_page() -> None:
    text = (
        'select_weights(threshold=2048, where=op_type("linear") & ~name("*embed*"))'
        ' | fit_lut(mode="kmeans", nbits=4) | replace_const_with_lut()'
    )
    made = Pipeline(
        select_weights(threshold=2048, where=op_type("linear") & ~name("*embed*")),
        fit_lut(mode="kmeans", nbits=4),
        replace_const_with_lut(),
    )
    assert parse(text) == made
    assert repr(made) == text.replace('"', "'")


@pytest.mark.parametrize(
    "text",
    [
        "select_weights(threshold=9) | fit_lut(nbits=4) | replace_const_with_lut()",
        "Pipeline(select_weights(threshold=9), fit_lut(nbits=4), replace_const_with_lut())",
        "Pipeline(Pipeline(select_weights(9)), Pipeline(fit_lut(nbits=4), replace_const_with_lut()))",
        "select_weights(9, is_weight()) | (fit_lut('kmeans', 4) | replace_const_with_lut())",
        "Pipeline() | Pipeline(select_weights(9) | fit_lut(nbits=0b100)) | replace_const_with_lut()",
        "  Pipeline(\n select_weights(9),  # large ones\n fit_lut(nbits=4), replace_const_with_lut(),\n)\n",
        "select_weights(9) | fit_lut(nbits=4, granularity=PerTensor()) | replace_const_with_lut()",
    ],
)
def test_bars_commas_and_nesting_are_one_flat_pipeline(text: str) -> None:
    assert parse(text).passes == (SELECT, FIT, REPLACE)


def test_one_pass_and_none() -> None:
    assert parse("fit_lut(nbits=4)") == Pipeline(FIT) == parse("Pipeline(fit_lut(nbits=4))")
    assert parse("Pipeline()") == Pipeline()


# text -> a part of what was got, a part of what is needed
MALFORMED: dict[str, tuple[str, str]] = {
    "": ("syntax", "Python call syntax"),
    "   \n": ("syntax", "Python call syntax"),
    "fit_lut(nbits=4": ("never closed", "Python call syntax"),
    "fit_lut(nbits=4)\0": ("null bytes", "Python call syntax"),
    "fit_lut(nbits=4); 1": ("syntax", "Python call syntax"),
    "import os": ("syntax", "Python call syntax"),
    "fit_lut(nbits=4\ud800)": ("surrogates", "Python call syntax"),
    "__import__('os')": ("`__import__` at column 1", "one of "),
    "fit_lut(nbits=4) | eval('1')": ("`eval` at column 20", "one of "),
    "os.system('true')": ("`os.system('true')`", "a call of one of the words"),
    "is_weight.holds": ("`is_weight.holds`", "words, calls, literals"),
    "fit_lut(nbits=4).__class__()": (".__class__()`", "a call of one of the words"),
    "(lambda: 1)()": ("`(lambda: 1)()`", "a call of one of the words"),
    "lambda: fit_lut(nbits=4)": ("`lambda: ", "words, calls, literals"),
    "[fit_lut(nbits=n) for n in (1, 2)]": ("`[fit_lut(nbits=n) for", "words, calls, literals"),
    "f'{fit_lut(nbits=4)}'": ("`f'", "words, calls, literals"),
    "(p := fit_lut(nbits=4))": ("`p := ", "words, calls, literals"),
    "fit_lut(nbits=4) if 1 else 2": (" if 1 else 2`", "words, calls, literals"),
    "fit_lut(nbits=4)[0]": ("[0]`", "words, calls, literals"),
    "fit_lut(mode={'a': 1}, nbits=4)": ("`{'a': 1}`", "words, calls, literals"),
    "fit_lut(**{'nbits': 4})": ("`fit_lut(**", "without `**`"),
    "fit_lut(*('kmeans', 4))": ("`*('kmeans', 4)`", "words, calls, literals"),
    "fit_lut(nbits=4)(nbits=4)": ("`fit_lut(nbits=4)(nbits=4)`", "a call of one of the words"),
    "fit_lut(bits=4)": ("`fit_lut(bits=4)`", "unexpected keyword argument 'bits'"),
    "fit_lut('kmeans', mode='kmeans')": ("`fit_lut('kmeans'", "multiple values for argument 'mode'"),
    "is_weight(3)": ("`is_weight(3)`", "its own arguments"),
    "PerTensor(3) | fit_lut(nbits=4)": ("`PerTensor(3)`", "its own arguments"),
    "fit_lut(nbits=4) + fit_lut(nbits=6)": (" + ", "`|` or `&`"),
    "fit_lut(nbits=2 ** 2)": ("`2 ** 2`", "`|` or `&`"),
    "fit_lut(nbits=4) & fit_lut(nbits=6)": (" & ", "selectors"),
    "~fit_lut(nbits=4)": ("`~fit_lut(nbits=4)`", "`~` before a selector"),
    "fit_lut(nbits=~3)": ("`~3`", "`~` before a selector"),
    "fit_lut(nbits=4j)": ("`4j`", "a string, a number"),
    "3 | fit_lut(nbits=4)": ("`3 | fit_lut(nbits=4)`", "passes on both sides"),
    "fit_lut(nbits=4) | 3": ("int", "passes such as"),
    "fit_lut(nbits=4) | is_weight": ("is_weight", "passes such as"),
    "is_weight | fit_lut(nbits=4)": ("fit_lut(mode='kmeans', nbits=4)", "a selector on either side"),
    "is_weight": ("is_weight", "passes joined by `|`"),
    "name('a') & ~is_weight": ("name('a') & ~is_weight", "passes joined by `|`"),
    "fit_lut": ("fit_lut", "passes joined by `|`"),
    "fit_lut(nbits=4),": ("(fit_lut(mode='kmeans', nbits=4),)", "passes joined by `|`"),
    "4": ("4", "passes joined by `|`"),
    "select_weights(where=op_type)": ("op_type", "a selector such as"),
    "fit_lut(nbits=-1)": ("-1", "an integer from 1 to 8"),
    "fit_lut(nbits=1e999)": ("inf", "an integer from 1 to 8"),
    "fit_lut(nbits='4')": ("'4'", "an integer from 1 to 8"),
    "select_weights(threshold=-1)": ("-1", "an integer of at least 0"),
    "fit_lut(nbits=" + "9" * 5000 + ")": ("digits", "Python call syntax"),
}


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: ascii(text[:30]))
def test_malformed_texts_are_refused_with_what_was_got_and_what_is_needed(text: str) -> None:
    got, needs = MALFORMED[text]
    found = refusal(text)
    assert got in found["got"] and needs in found["needs"]


@pytest.mark.parametrize(
    ("text", "near"),
    [("fit_lutt(nbits=4)", "fit_lut"), ("selectweights()", "select_weights"), ("pipeline()", "Pipeline")],
)
def test_an_unknown_word_is_met_with_the_nearest_one(text: str, near: str) -> None:
    found = refusal(text)
    assert found["remedy"] == f"Did you mean `{near}`"
    assert "replace_const_with_lut" in found["needs"]


def test_an_unknown_word_like_no_other_gets_no_suggestion() -> None:
    assert refusal("zzzzzzzz()")["remedy"] is None


def test_a_keyword_given_twice_is_named_as_that() -> None:
    found = refusal("fit_lut(nbits=4, nbits=6)")
    assert "**" not in found["needs"], "nobody wrote `**`"
    assert "nbits" in found["got"]


def test_columns_count_characters() -> None:
    assert refusal("select_weights(where=name('äöü') & foo)")["got"] == "`foo` at column 36"


def test_a_refused_part_of_several_lines_makes_one_line() -> None:
    refusal("fit_lut(\n    nbits=(2\n    + 2),\n)")


@pytest.mark.parametrize("value", ["size(min='a')", "size(max=-1)", "name(3)", "op_type(None)"])
def test_wrong_arguments_of_selectors_are_refused_without_python_internals(value: str) -> None:
    found = refusal(f"select_weights(where={value})")
    assert "Attribute(" not in found["needs"] and "Python call syntax" not in found["needs"]


def test_huge_numbers_in_any_notation() -> None:
    for text in ("0x" + "f" * 5000, "-0x" + "f" * 5000, "fit_lut(nbits=0x" + "f" * 5000 + ")"):
        refusal(text)


DEEP: dict[str, Callable[[int], str]] = {
    "bare inversions": lambda n: "~" * n + "anything",
    "inversions": lambda n: f"select_weights(where={'~' * n}anything)",
    "alternatives": lambda n: f"select_weights(where={'anything | ' * n}anything)",
    "brackets": lambda n: "(" * n + "fit_lut(nbits=4)" + ")" * n,
    "pipelines": lambda n: "Pipeline(" * n + ")" * n,
    "passes": lambda n: " | ".join(["fit_lut(nbits=4)"] * n),
    "signs": lambda n: "fit_lut(nbits=" + "-" * n + "4)",
    "tuples": lambda n: "(" * n + "1" + ",)" * n,
}


# about the limits of Python's parser and stack, and far above them
DEPTHS = (10, 210, 1200) if EFFORT < 1 else (10, 60, 190, 210, 300, 400, 480, 600, 5000)


@pytest.mark.parametrize("kind", DEEP)
def test_nesting_is_read_whole_or_refused(kind: str) -> None:
    for depth in DEPTHS:
        text = DEEP[kind](depth)
        try:
            pipeline = parse(text)
        except UsageError as refused:
            assert SHAPE.fullmatch(str(refused))
        else:
            assert parse(repr(pipeline)) == pipeline


def test_a_text_too_long_is_refused_shortly() -> None:
    found = refusal("name('" + "x" * 2_000_000 + "')")
    assert "2000008 characters" in found["got"] and "1000000" in found["needs"] and len(found[0]) < 200


WORDS = ("fit_lut", "Pipeline", "is_weight", "name", "size", "nbits", "where", "os", "None", "lambda", "for")
OTHERS = ("in", "if", "else", "not", "and", "yield", "await", "(nbits=4)", "('a')", "()", "4", "1e9")
words = st.sampled_from([*WORDS, *OTHERS])
signs = st.sampled_from([*"()[]{}|&~,.=:;*-+@'\"\\ \n\0#$?é\ud800", "(", ")", "**", "where="])


@quick(max_examples=200)
@given(st.text(max_size=12) | st.lists(words | signs, max_size=10).map("".join))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        pipeline = parse(text)
    except UsageError as refused:
        assert SHAPE.fullmatch(str(refused)), str(refused)
    else:
        assert parse(repr(pipeline)) == pipeline


NAMING_A_MODULE = (
    "__import__('this')",
    "this.s",
    "print(1)",
    "fit_lut(nbits=4, importance='this:s')",
    "select_weights(where=name('this:s'))",
)


@pytest.mark.parametrize("text", NAMING_A_MODULE)
def test_nothing_is_evaluated_or_imported(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parse("select_weights(where=is_weight)")
    before = set(sys.modules)
    try:
        parse(text)
    except UsageError:
        assert text != NAMING_A_MODULE[-1], "a glob is no module"
    assert set(sys.modules) == before and "this" not in before
    assert capsys.readouterr().out == ""
