"""Plain text tables."""

from __future__ import annotations

from collections.abc import Sequence

from milpass.errors import shown

# Characters of a cell.
WIDEST = 300
NUMBERS = frozenset("0123456789.,-+e%infx ")


def tabulate(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table with aligned columns, numbers to the right, and notes below."""
    rows = [shown_row(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    right = [is_number_column(column) for column in zip(*rows, strict=True)]
    lines = [_line(headings, widths, right), _line(["-" * w for w in widths], widths, right)]
    lines += [_line(row, widths, right) for row in rows]
    return "\n".join([*lines, *(shown(note) for note in notes)])


def shown_row(cells: Sequence[str]) -> tuple[str, ...]:
    """Cells as they may be shown: names in a model may be of any length and hold control characters."""
    return tuple(shown(cell, WIDEST) for cell in cells)


def is_number_column(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers or empty, so that they stand to the right."""
    return all(set(cell) <= NUMBERS for cell in cells)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, right or [False] * len(widths), strict=True)
    ]
    return "  ".join(padded).rstrip()
