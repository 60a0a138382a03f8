"""`milpass palettize`."""

from __future__ import annotations

from typing import Any

import click

from milpass.cli.options import MODULES, RunOptions, field_option, run_options
from milpass.passes import fit_lut, replace_const_with_lut, select_weights

DEFAULT_NBITS = 4


@click.command()
@field_option(fit_lut, "mode")
@field_option(fit_lut, "nbits", help=f"Bits an index; {DEFAULT_NBITS} unless the mode finds them.")
@field_option(select_weights, "threshold")
@MODULES
@run_options
def palettize(mode: str, nbits: int | None, threshold: int, modules: tuple[str, ...], **options: Any) -> None:
    """Store the weights of MODEL as look-up tables and packed indices.

    \b
    Example:
      milpass palettize Net.mlpackage -o Net-4bit.mlpackage --mode kmeans --nbits 4
    """
    from milpass.cli.modules import import_modules
    from milpass.cli.run import run  # loads numpy, which --help can do without
    from milpass.fitting import mode_of, modes

    if modules or mode not in modes("lut"):
        import_modules(modules)
    if nbits is None and mode in modes("lut") and mode_of("lut", mode).NBITS == "given":
        nbits = DEFAULT_NBITS
    pipeline = (
        select_weights(threshold=threshold) | fit_lut(mode=mode, nbits=nbits) | replace_const_with_lut()
    )
    run(pipeline, RunOptions(**options))
