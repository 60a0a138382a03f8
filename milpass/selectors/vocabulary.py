"""The words of a pipeline's text that choose weights."""

from __future__ import annotations

from typing import Any, TypeVar

Word = TypeVar("Word")

# Filled by `@word` beside each selector, and by `@selector` with a user's own.
SELECTORS: dict[str, Any] = {}


def word(selector: Word) -> Word:
    """Make a selector a word under its own name."""
    SELECTORS[selector.__name__ if isinstance(selector, type) else repr(selector)] = selector
    return selector
