"""`milpass palettize`."""

from __future__ import annotations

from pathlib import Path

import click

from milpass.cli.options import MODEL, field_option
from milpass.cli.progress import progress
from milpass.cli.show import show_plan, show_rows
from milpass.errors import NothingCompressed
from milpass.passes import fit_lut, replace_const_with_lut, select_weights


@click.command()
@MODEL
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The package to write.")
@field_option(fit_lut, "mode")
@field_option(fit_lut, "nbits", default=4)
@field_option(select_weights, "threshold")
@click.option("--overwrite", is_flag=True, help="Replace a package at the destination.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; read no weight, write nothing.")
@click.option("--all", "everything", is_flag=True, help="Show a row for every constant.")
def palettize(
    model: Path,
    output: Path | None,
    mode: str,
    nbits: int,
    threshold: int,
    overwrite: bool,
    dry_run: bool,
    everything: bool,
) -> None:
    """Store the weights of MODEL as look-up tables and packed indices.

    \b
    Example:
      milpass palettize Net.mlpackage -o Net-4bit.mlpackage --mode kmeans --nbits 4
    """
    from milpass.pipeline import Pipeline, apply  # loads numpy, which --help can do without

    if output is None and not dry_run:
        raise click.UsageError("Missing option '-o' / '--output' (or use --dry-run).")
    pipeline = Pipeline(
        select_weights(threshold=threshold),
        fit_lut(mode=mode, nbits=nbits),
        replace_const_with_lut(),
    )
    try:
        if dry_run or output is None:
            plan = pipeline.plan(model)
            if not plan.replaced:
                raise NothingCompressed(plan, str(model))
        else:
            with progress() as report:
                _, plan = apply(pipeline, model, output, overwrite=overwrite, progress=report)
    except NothingCompressed as nothing:
        show_rows(nothing.plan, everything=everything, err=True)
        raise
    show_plan(plan, everything=everything, written=None if dry_run else output)
