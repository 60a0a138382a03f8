"""`milpass passes`."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill, indent

import click

from milpass.cli.options import MODULES

WIDTH = 100


@click.command()
@click.argument("name", required=False)
@MODULES
def passes(name: str | None, modules: tuple[str, ...]) -> None:
    """List the words of pipelines: passes, modes, selectors; or describe the one called NAME."""
    from milpass.cli.modules import import_modules

    import_modules(modules)
    if name is None:
        _show_all()
    else:
        _show_one(name)


def _show_all() -> None:
    from milpass.reference import words

    for number, (kind, group) in enumerate(groupby(words(), key=lambda word: word.kind)):
        click.echo(("\n" if number else "") + kind)
        for word in group:
            click.echo(fill(word.name, WIDTH, initial_indent="  "))
            click.echo(fill(word.summary, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))


def _show_one(name: str) -> None:
    from milpass.reference import find

    word = find(name)
    click.echo(f"{word.kind}: {word.signature}\n")
    click.echo(indent(word.text, "  "))
    for field, help in word.fields:
        click.echo(f"\n  {field}")
        click.echo(fill(help, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6))
