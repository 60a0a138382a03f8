"""What rules of pruning there are, in words, which are refused, and on which weights it acts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from milpass.errors import UsageError
from milpass.legality import Course, settle
from milpass.links import Found
from milpass.passes import (
    Pass,
    fit_affine,
    fit_lut,
    prune_weights,
    replace_const_with_affine,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.pipeline import parse
from milpass.plan import Entry, Fitted, Plan, Replaced, Selected, Skipped
from milpass.weight import Key, Reader, Source, Weight


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"sparsity": 0.5}, "50%"),
        ({"sparsity": 0.999}, "99.9%"),
        ({"sparsity": 0.5, "block_size": 4}, "50%, 4 output channels each"),
        ({"sparsity": 1, "block_size": 4, "along": "input"}, "100%, 4 input channels each"),
        ({"threshold": 0}, "at most 0"),
        ({"threshold": 0.1, "minimum_sparsity": 0.25}, "at most 0.1, at least 25%"),
        ({"n_m": (2, 4)}, "2:4"),
        ({"n_m": (2, 4), "around": "lut"}, "2:4"),
        ({"n_m": (2, 4), "around": "lut"}, "2:4"),
        ({"n_m": (2, 4), "along": "output"}, "2:4 along output"),
    ],
    ids=str,
)
def test_rules_in_words(rule: dict[str, Any], words: str) -> None:
    rules = prune_weights(**rule)
    assert rules.detail == words and parse(repr(rules)).passes == (rules,)


REFUSED = "{} of prune_weights: prune_weights cannot fit weights with it: got {}, needs {}."
ONE = "one of sparsity, threshold and n_m"
PAIR = "two integers n <= m, such as (2, 4)"
SHARE = "a share from 0 to 1, such as 0.5"


def refusals() -> Iterator[tuple[dict[str, Any], str]]:
    """Rules that there are not: their fields, and what is said of the last one."""
    yield {}, REFUSED.format("n_m", None, ONE)
    yield {"sparsity": 0.5, "threshold": 1.0}, REFUSED.format("n_m", "'sparsity and threshold'", ONE)
    yield {"sparsity": 0.5, "n_m": (2, 4)}, REFUSED.format("n_m", "'sparsity and n_m'", ONE)
    for name, others, values, needs in (
        ("n_m", {}, ((4, 2), (-1, 4), (0, 0), [2, 4], (2, 4, 8), (1.0, 2), (True, 2), 2), PAIR),
        ("sparsity", {}, (1.5, -0.5, "half", True, float("nan")), SHARE),
        ("threshold", {}, (-1.0, float("inf"), float("nan"), "1", True), "a magnitude of at least 0"),
        ("minimum_sparsity", {"threshold": 1}, (-0.1, 1.1, "half", True, None), SHARE),
        ("minimum_sparsity", {"sparsity": 0.5}, (0.5,), "a threshold with it"),
        ("block_size", {"sparsity": 0.5}, (1, 0, 2.0, "2", True), "an integer of at least 2"),
        ("block_size", {"threshold": 0.5}, (2,), "a sparsity with it"),
        ("block_size", {"n_m": (2, 4)}, (2,), "a sparsity with it"),
        ("along", {"n_m": (2, 4)}, (0, "channels"), "None or 'output' or 'input'"),
        ("along", {"sparsity": 0.5}, ("output", "input"), "a block_size or n_m with it"),
        ("around", {"sparsity": 0.5}, ("sparse", "cast", True), "None or 'lut' or 'affine'"),
        ("around", {"sparsity": 0.5}, ("sparse", "cast", True), "None or 'lut' or 'affine'"),
    ):
        for value in values:
            yield {**others, name: value}, REFUSED.format(name, repr(value), needs)


@pytest.mark.parametrize(("rule", "told"), list(refusals()), ids=str)
def test_wrong_rules_are_refused_in_words(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        prune_weights(**rule)
    assert str(raised.value) == told


OPERATIONS = {"lut": "constexpr_lut_to_dense", "affine": "constexpr_blockwise_shift_scale"}
STORING = {"lut": replace_const_with_lut(), "affine": replace_const_with_affine()}
FIRST: dict[str, Any] = {"lut": fit_lut(nbits=4), "affine": fit_affine()}
CHOSEN = select_weights()


def folded(*passes: Pass, encoded: str | None = None) -> Plan:
    """The plan of passes for one weight."""
    reader = Reader("linear", "linear_0", "weight", "weight", axes=(0, 1))
    weight = Weight(Key("main", (), "w"), (64, 64), "fp16", Source("f", 64), (reader,), encoded=encoded)
    plan = Plan.of((weight,))
    for step in passes:
        plan = step.fold(plan)
    return plan


def entry(*passes: Pass, encoded: str | None = None) -> Entry:
    """What passes say of a weight."""
    return folded(*passes, encoded=encoded).rows[0].entry


@pytest.mark.parametrize("other", FIRST)
@pytest.mark.parametrize("around", FIRST)
def test_pruning_around_puts_itself_in_front(around: str, other: str) -> None:
    prune, fit, store = prune_weights(sparsity=0.5, around=around), FIRST[other], replace_const_with_sparse()
    expected = (prune, fit) if other == around else (fit,)
    assert entry(CHOSEN, fit, prune) == Fitted(expected)
    found = entry(CHOSEN, prune, store, encoded=OPERATIONS[other])
    assert found == (Replaced((prune, Found(other))) if other == around else Fitted((Found(other),)))
    as_before = Fitted(expected) if other == around else Replaced(expected)
    assert entry(CHOSEN, fit, prune, STORING[other]) == as_before


def test_pruning_around_waits_for_a_fit() -> None:
    prune, store = prune_weights(sparsity=0.5, around="lut"), replace_const_with_sparse()
    assert isinstance(entry(prune, store), Skipped) and isinstance(entry(CHOSEN, prune, store), Selected)
    table, nested = fit_lut(nbits=4), fit_affine(inside="lut")
    for steps in ((table, nested, prune), (table, prune, nested)):
        assert entry(CHOSEN, *steps, store) == Replaced((prune, table, nested))
    assert entry(CHOSEN, table, prune, prune) == Fitted((prune, table)), "it begins with sparse now"


@pytest.mark.parametrize("format", ["iOS16", "iOS17", "iOS18", "iOS26"])
@pytest.mark.parametrize("kind", FIRST)
def test_what_is_compressed_is_pruned_from_ios18_on(kind: str, format: str) -> None:
    prune, store = prune_weights(sparsity=0.5, around=kind), replace_const_with_sparse()
    for fits, encoded in (((FIRST[kind],), None), ((), OPERATIONS[kind])):
        plan = folded(CHOSEN, *fits, prune, store, encoded=encoded)
        (row,) = settle(plan, Course(format, format, None)).rows
        if format in ("iOS16", "iOS17"):
            assert row.entry == Skipped("opset", f"{format} has no {kind} inside sparse")
        else:
            assert isinstance(row.entry, Replaced) and (row.entry.nbytes is None) == (encoded is not None)
