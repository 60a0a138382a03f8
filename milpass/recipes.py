"""Recipe files: a pipeline as text, one pass a line, comments after `#`."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from pathlib import Path

from milpass.errors import UsageError

LARGEST = 1_000_000


def read_recipe(path: Path) -> list[str]:
    """The passes in a file, each without its comment; a pass may go on in the next line inside brackets.

    Raises `UsageError` where the file cannot be read or its brackets and quotes do not close.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise _refused(path, getattr(error, "strerror", None) or str(error), "a text file") from None
    if len(text) > LARGEST:
        raise _refused(path, f"more than {LARGEST:,} characters", "a shorter file")
    try:
        return _statements(text)
    except (tokenize.TokenError, SyntaxError) as error:
        raise _refused(path, str(error.args[0]), "one pass a line, in Python call syntax") from None


def write_recipe(path: Path, passes: Sequence[str], *, overwrite: bool) -> None:
    """Write passes to a file, which may exist only with `overwrite`; raises `UsageError`."""
    try:
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in passes)
    except OSError as error:
        needs = "a path that can be written"
        raise UsageError(
            str(path),
            who="Pipeline.save",
            cannot="write the recipe",
            got=error.strerror or str(error),
            needs=needs,
        ) from None


def _statements(text: str) -> list[str]:
    """The lines of a text as Python's own tokens divide it, without comments and a `|` at the end."""
    lines = text.splitlines()
    found, first = [], 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        elif token.type == tokenize.NEWLINE:
            found.append(" ".join(line.strip() for line in lines[first:row]))
            first = row
    return [line for line in (each.strip().rstrip("|").strip() for each in found) if line]


def _refused(path: Path, got: str, needs: str) -> UsageError:
    return UsageError(str(path), who="milpass", cannot="read the recipe", got=got, needs=needs)
