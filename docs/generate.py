"""Writes docs/reference.md and docs/formats.md from the code; `--check` fails where they say otherwise.

python docs/generate.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import formats

from milpass.dialects import DIALECTS
from milpass.errors import EXIT_CODES
from milpass.plan import REASONS, REFUSED_AFTER_CHOICE
from milpass.reference import words

HEADER = """# Reference

Made by `python docs/generate.py` from the code; `milpass passes NAME` shows the same and more.
"""


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return text.replace("|", "\\|")


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def sections() -> Iterator[str]:
    """The parts of the file."""
    yield HEADER
    for kind, group in groupby(words(), key=lambda word: word.kind):
        rows = [(f"`{word.signature}`", word.summary) for word in group]
        yield f"## {kind.capitalize()}\n\n{table(('text', 'what it does'), rows)}\n"
    for word in words():
        if word.fields:
            rows = [(f"`{name}`", help) for name, help in word.fields]
            yield f"### Fields of `{word.name}`\n\n{table(('field', 'meaning'), rows)}\n"
    reasons = [(f"`{code}`", text, _when(code)) for code, text in REASONS.items()]
    yield f"## Why a weight is left as it is\n\n{table(('code', 'reason', 'told'), reasons)}\n"
    codes = [(str(code), text) for code, text in EXIT_CODES.items()]
    yield f"## Exit codes\n\n{table(('code', 'meaning'), codes)}\n"


def _when(code: str) -> str:
    return "of chosen weights" if code in REFUSED_AFTER_CHOICE else "of weights that are not chosen"


def format_sections() -> Iterator[str]:
    """The parts of the file of formats."""
    yield formats.HEADER
    yield table(("fits", *DIALECTS), list(formats.rows())) + "\n"


FILES = {"reference.md": sections, "formats.md": format_sections}


def main() -> int:
    """Write the files, or compare them."""
    stale = 0
    for name, parts in FILES.items():
        out, text = Path(__file__).parent / name, "\n".join(parts())
        if "--check" not in sys.argv[1:]:
            out.write_text(text)
        elif not out.exists() or out.read_text() != text:
            print(f"{name} is not what the code says: run `python docs/generate.py`", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
