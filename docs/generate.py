"""Writes docs/reference.md from the code; `--check` fails where the file is not what the code says.

python docs/generate.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from milpass.dialects import DIALECTS
from milpass.errors import EXIT_CODES
from milpass.plan import REASONS, REFUSED_AFTER_CHOICE
from milpass.reference import words

OUT = Path(__file__).parent / "reference.md"
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
    formats = [(name, ", ".join(map(str, dialect.legal["lut"]))) for name, dialect in DIALECTS.items()]
    yield f"## Formats\n\n{table(('format', 'bits of a look-up table'), formats)}\n"
    reasons = [(f"`{code}`", text, _when(code)) for code, text in REASONS.items()]
    yield f"## Why a weight is left as it is\n\n{table(('code', 'reason', 'told'), reasons)}\n"
    codes = [(str(code), text) for code, text in EXIT_CODES.items()]
    yield f"## Exit codes\n\n{table(('code', 'meaning'), codes)}\n"


def _when(code: str) -> str:
    return "of chosen weights" if code in REFUSED_AFTER_CHOICE else "of weights that are not chosen"


def main() -> int:
    """Write the file, or compare it."""
    text = "\n".join(sections())
    if "--check" not in sys.argv[1:]:
        OUT.write_text(text)
        return 0
    if not OUT.exists() or OUT.read_text() != text:
        print(f"{OUT.name} is not what the code says: run `python docs/generate.py`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
