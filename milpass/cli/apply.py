"""`milpass apply`."""

from __future__ import annotations

from typing import Any

import click

from milpass.cli.options import MODULES, RunOptions, run_options


@click.command()
@click.option(
    "-p",
    "--pipeline",
    "text",
    required=True,
    metavar="TEXT",
    help="The pipeline, or @FILE: one pass a line, comments after #.",
)
@MODULES
@run_options
def apply(text: str, modules: tuple[str, ...], **options: Any) -> None:
    """Carry out a pipeline of passes on MODEL.

    \b
    Examples:
      milpass apply Net.mlpackage -o Small.mlpackage \\
        -p "select_weights(where=op_type('linear')) | fit_lut(nbits=4) | replace_const_with_lut()"
      milpass apply Net.mlpackage -o Small.mlpackage -p @recipe.milpass

    `milpass passes` lists the words.
    """
    from milpass.cli.modules import check_references, import_modules
    from milpass.cli.run import run  # loads numpy, which --help can do without
    from milpass.pipeline import Pipeline, parse

    import_modules(modules)
    pipeline = Pipeline.load(text[1:]) if text.startswith("@") else parse(text)
    check_references(pipeline, modules)
    run(pipeline, RunOptions(**options))
