"""`milpass quantize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from milpass.cli.options import RunOptions, run_options
from milpass.passes import (
    Pass,
    fit_affine,
    fit_cast,
    fit_lut,
    replace_const_with_affine,
    replace_const_with_cast,
    replace_const_with_lut,
    select_weights,
)
from milpass.selectors import anything

if TYPE_CHECKING:
    from milpass.pipeline import Pipeline

HALF = 16

# coremltools' names of modes -> the passes that do the same
MODES: dict[str, Callable[[int], tuple[Pass, Pass]]] = {
    "linear": lambda nbits: (fit_affine(nbits=nbits), replace_const_with_affine()),
    "linear_symmetric": lambda nbits: (
        fit_affine(mode="linear_symmetric", nbits=nbits),
        replace_const_with_affine(),
    ),
    "kmeans_lut": lambda nbits: (fit_lut(nbits=nbits), replace_const_with_lut()),
    "linear_lut": lambda nbits: (fit_lut(mode="uniform", nbits=nbits), replace_const_with_lut()),
}


@click.command()
@click.option(
    "--mode",
    type=click.Choice(list(MODES)),
    default="linear",
    show_default=True,
    help="How numbers are chosen, by coremltools' names.",
)
@click.option("--nbits", type=int, default=8, show_default=True, help=f"Bits a number; {HALF} for fp16.")
@run_options
def quantize(mode: str, nbits: int, **options: Any) -> None:
    """Store all weights of MODEL in fewer bits, as coremltools' quantize_weights chooses them.

    Small ones and biases are among them, where the format takes them compressed.

    \b
    Example:
      milpass quantize Net.mlmodel -o Net-8bit.mlmodel --mode linear --nbits 8
    """
    from milpass.cli.run import run  # loads numpy, which --help can do without

    run(pipeline(mode, nbits), RunOptions(**options))


def pipeline(mode: str, nbits: int) -> Pipeline:
    """The passes that a mode and a number of bits stand for."""
    fit, store = (fit_cast(), replace_const_with_cast()) if nbits == HALF else MODES[mode](nbits)
    return select_weights(threshold=0, where=anything) | fit | store
