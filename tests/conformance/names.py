"""Names of tests, and globs over them."""

from __future__ import annotations

import re
from collections.abc import Iterable


def matches(test: str, glob: str) -> bool:
    """Only `*` is special: names have brackets, which `fnmatch` would take for sets of characters."""
    return re.fullmatch(re.escape(glob).replace(r"\*", ".*"), test) is not None


def chosen(test: str, globs: Iterable[str]) -> bool:
    """Whether some glob matches, or none is given."""
    given = list(globs)
    return not given or any(matches(test, glob) for glob in given)


def may_choose(file: str, globs: Iterable[str]) -> bool:
    """Whether a test of this file can be chosen: starting pytest and torch takes seconds."""
    return chosen(file, [glob.split("::")[0] for glob in globs])
