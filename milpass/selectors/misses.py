"""Patterns that match nothing in a model, and what they may have meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milpass.selectors.language import Selector
from milpass.selectors.patterns import Pattern
from milpass.weight import Weight

# Names compared with a pattern that matches none: enough to find the near ones, few enough to be quick.
MOST_COMPARED = 5_000


def unmatched(selector: Selector, weights: Sequence[Weight]) -> Iterator[str]:
    """A sentence for each pattern in a selector that matches none of the weights."""
    for leaf in dict.fromkeys(selector.leaves()):
        if isinstance(leaf, Pattern) and not any(map(leaf.holds, weights)):
            yield f"{leaf!r} matches nothing{_nearest(leaf, weights)}"


def _nearest(pattern: Pattern, weights: Sequence[Weight]) -> str:
    """The names that come nearest to a pattern, as the end of a sentence."""
    known = dict.fromkeys(text for weight in weights for text in sorted(pattern.texts(weight)))
    compared = list(known)[:MOST_COMPARED]
    from difflib import get_close_matches

    near = get_close_matches(pattern.pattern.strip("*^$"), compared, n=3, cutoff=0.4)
    return f"; near it: {', '.join(near)}" if near else ""
