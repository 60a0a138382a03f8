"""Tables for people on a terminal, plain text for everything else."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from milpass.plan import HEADINGS, REASONS, Plan, Skipped, cells
from milpass.tabulation import is_number_column, tabulate


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with rich on a terminal."""
    if not sys.stdout.isatty():
        click.echo(tabulate(headings, rows))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    columns = zip(*rows, strict=True) if rows else [()] * len(headings)
    for heading, column in zip(headings, columns, strict=True):
        table.add_column(heading, justify="right" if is_number_column(column) else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def show_plan(plan: Plan, *, everything: bool, written: Path | None) -> None:
    """Print the chosen weights, or all, then the reasons of the others, notes, and the sum."""
    rows = plan.rows if everything else plan.replaced
    show_table(HEADINGS, [cells(row) for row in rows])
    if not everything:
        show_reasons(plan)
    for note in plan.notes:
        click.echo(note)
    before = sum(row.weight.nbytes for row in plan.rows)
    after = sum(row.nbytes for row in plan.rows)
    verb = f"wrote {written}" if written else "would write"
    click.echo(
        f"{verb}: {len(plan.replaced)} of {len(plan.rows)} constants compressed, "
        f"{before:,} -> {after:,} bytes ({before / after:.2f} x smaller)"
    )


def show_reasons(plan: Plan, *, err: bool = False) -> None:
    """Print how many weights are left as they are, for each reason, with an example."""
    entries = [row.entry for row in plan.skipped if isinstance(row.entry, Skipped)]
    examples = {entry.code: entry.reason for entry in reversed(entries)}
    for code, count in Counter(entry.code for entry in entries).most_common():
        example = "" if examples[code] == REASONS[code] else f" (such as: {examples[code]})"
        click.echo(f"{count} left as they are: {REASONS[code]}{example}", err=err)
