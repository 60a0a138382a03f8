"""What rules of pruning there are, in words, and which are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from milpass.errors import UsageError
from milpass.passes import prune_weights
from milpass.pipeline import parse


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
    ):
        for value in values:
            yield {**others, name: value}, REFUSED.format(name, repr(value), needs)


@pytest.mark.parametrize(("rule", "told"), list(refusals()), ids=str)
def test_wrong_rules_are_refused_in_words(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        prune_weights(**rule)
    assert str(raised.value) == told
