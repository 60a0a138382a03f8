"""`milpass inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from milpass.cli.options import MODEL
from milpass.cli.show import show_table

if TYPE_CHECKING:
    from milpass.inspection import Inspected

HEADINGS = ("weight", "op", "shape", "dtype", "bytes", "distinct", "share", "stored as")


@click.command()
@MODEL
def inspect(model: Path) -> None:
    """List the floating-point constants of MODEL: what reads them, their sizes, their distinct values."""
    from milpass.inspection import inspect_weights  # loads numpy, which --help can do without

    found = inspect_weights(model)
    total = sum(each.nbytes for each in found)
    show_table(HEADINGS, [_cells(each, total) for each in found])
    click.echo(f"{len(found)} constants, {total:,} bytes")


def _cells(each: Inspected, total: int) -> tuple[str, ...]:
    weight = each.weight
    return (
        weight.name,
        ", ".join(sorted({reader.op_type for reader in weight.readers})) or "-",
        "x".join(map(str, weight.shape)) or "scalar",
        weight.dtype,
        f"{each.nbytes:,}",
        "?" if each.distinct is None else f"{each.distinct:,}",
        f"{100 * each.nbytes / total:.1f}%",
        weight.encoded or "const",
    )
