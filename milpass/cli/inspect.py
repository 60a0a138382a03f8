"""`milpass inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milpass.cli.options import JSON, MODEL
from milpass.cli.show import show_table

if TYPE_CHECKING:
    from milpass.inspection import Inspected

HEADINGS = ("weight", "op", "shape", "dtype", "bytes", "distinct", "share", "stored as")


@click.command()
@MODEL
@JSON
def inspect(model: Path, as_json: bool) -> None:
    """List the floating-point constants of MODEL: what reads them, their sizes, their distinct values."""
    from milpass.inspection import inspect_weights  # loads numpy, which --help can do without

    found = inspect_weights(model)
    total = sum(each.nbytes for each in found)
    if as_json:
        click.echo(json.dumps(_data(model, found), indent=1))
        return
    show_table(HEADINGS, [_cells(each, total) for each in found])
    click.echo(f"{sum(not each.weight.closed for each in found)} constants, {total:,} bytes")


def _cells(each: Inspected, total: int) -> tuple[str, ...]:
    weight = each.weight
    return (
        weight.label,
        ", ".join(sorted({reader.op_type for reader in weight.readers})) or "-",
        "x".join(map(str, weight.shape)) or "scalar",
        weight.dtype,
        "?" if weight.closed else f"{each.nbytes:,}",
        "?" if each.distinct is None else f"{each.distinct:,}",
        f"{100 * each.nbytes / total:.1f}%" if total else "",
        weight.encoded or "const",
    )


def _data(model: Path, found: tuple[Inspected, ...]) -> dict[str, Any]:
    from milpass.report import SCHEMA, weight_data

    weights = [{**weight_data(e.weight), "nbytes": e.nbytes, "distinct": e.distinct} for e in found]
    return {"schema": SCHEMA, "model": str(model), "weights": weights}
