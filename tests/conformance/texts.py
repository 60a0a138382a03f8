"""What is printed: a table of counts, and a list of the tests that differ."""

from __future__ import annotations

from collections.abc import Iterator

from .comparison import VERDICTS, Comparison


def table(found: Comparison) -> Iterator[str]:
    """Those that call the functions, and apart from them the others."""
    yield " ".join([f"{'passed by':26}", *(f"{verdict:>{len(verdict) + 2}}" for verdict in VERDICTS)])
    for title, calling in (("tests that call", True), ("tests that do not call", False)):
        counts = found.counts(calling)
        yield " ".join([f"{title:26}", *(f"{counts[verdict]:{len(verdict) + 2}}" for verdict in VERDICTS)])
    if found.handed:
        yield f"in {len(found.handed)} tests milpass.compat leaves calls to coremltools' own functions"


def differences(found: Comparison) -> Iterator[str]:
    """Unexplained ones with their errors first, then what the page says."""
    for test in found.unexplained:
        yield f"passed by theirs only: {test}\n    {found.errors[test]}"
    for test, reason in found.excepted.items():
        yield f"known exception: {test}\n    {reason}"
    for glob in found.idle:
        yield f"listed in docs/compat.md, but no test differs: {glob}"
