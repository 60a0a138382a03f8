"""Tables for people on a terminal, plain text for everything else."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from milpass.errors import shown
from milpass.plan import HEADINGS, REASONS, REFUSED_AFTER_CHOICE, Plan, Replaced, Skipped, cells
from milpass.tabulation import is_number_column, shown_row, tabulate


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False) -> None:
    """Print a table, with rich on a terminal; to standard error where there is no result to show."""
    if not (sys.stderr if err else sys.stdout).isatty():
        click.echo(tabulate(headings, rows), err=err)
        return
    rows = [shown_row(row) for row in rows]
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    columns = zip(*rows, strict=True) if rows else [()] * len(headings)
    for heading, column in zip(headings, columns, strict=True):
        table.add_column(heading, justify="right" if is_number_column(column) else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False, stderr=err).print(table)


def show_plan(plan: Plan, *, everything: bool, written: Path | None) -> None:
    """Print the chosen weights, or all, then the reasons of the others, notes, and the sum."""
    show_rows(plan, everything=everything)
    verb = f"wrote {shown(str(written))}" if written else "would write"
    click.echo(f"{verb}: {len(plan.replaced)} of {len(plan.constants)} constants {_done(plan)}")


def _done(plan: Plan) -> str:
    """What became of the chosen constants as a whole."""
    before = sum(row.weight.nbytes for row in plan.rows)
    after = sum(row.nbytes for row in plan.rows)
    fits = [row.entry.fits[0] for row in plan.replaced if isinstance(row.entry, Replaced)]
    if fits and all(fit.encoding == "dense" for fit in fits):
        return f"decompressed, {after:,} bytes"
    ratio = f" ({before / after:.2f} x smaller)" if after else ""
    return f"compressed, {before:,} -> {after:,} bytes{ratio}"


def show_rows(plan: Plan, *, everything: bool, err: bool = False) -> None:
    """Print all rows, or those that were chosen and how many others there are for each reason; then notes."""
    rows = plan.rows if everything else plan.chosen
    if rows:
        show_table(HEADINGS, [cells(row) for row in rows], err=err)
    if not everything:
        _show_reasons(plan, err=err)
    for note in plan.notes:
        click.echo(shown(note), err=err)


def _show_reasons(plan: Plan, *, err: bool) -> None:
    """Print how many weights nobody chose, for each reason, with an example."""
    entries = [row.entry for row in plan.rows if isinstance(row.entry, Skipped)]
    skipped = [entry for entry in entries if entry.code not in REFUSED_AFTER_CHOICE]
    examples = {entry.code: entry.reason for entry in reversed(skipped)}
    for code, count in Counter(entry.code for entry in skipped).most_common():
        reason = REASONS.get(code, code)
        example = "" if examples[code] == reason else f" (such as: {examples[code]})"
        click.echo(shown(f"{count} left as they are: {reason}{example}"), err=err)
