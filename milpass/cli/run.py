"""Carrying out a pipeline for a command, and showing what came of it."""

from __future__ import annotations

import gc
import json
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

from milpass.cli.interrupts import watch
from milpass.cli.options import RunOptions
from milpass.cli.progress import progress
from milpass.cli.show import show_plan, show_rows
from milpass.errors import NothingCompressed
from milpass.pipeline import Pipeline
from milpass.pipeline import apply as carry_out
from milpass.plan import Plan
from milpass.report import plan_data


def run(pipeline: Pipeline, options: RunOptions) -> None:
    """Plan, or plan and write, and print the outcome in the form that is asked for."""
    gc.freeze()  # what has been loaded stays
    gc.enable()
    if options.output is None and not options.dry_run:
        raise click.UsageError("Missing option '-o' / '--output' (or use --dry-run).")
    if options.output is not None and not options.dry_run:
        watch(options.output, resume=options.resume)
    try:
        plan = _planned(pipeline, options) if options.dry_run else _applied(pipeline, options)
    except NothingCompressed as nothing:
        _show(pipeline, nothing.plan, options, error=nothing)
        raise
    _show(pipeline, plan, options)


def _planned(pipeline: Pipeline, options: RunOptions) -> Plan:
    plan = pipeline.plan(options.model, target=options.target, strict=options.strict)
    if not (plan.replaced or plan.is_edited):
        raise NothingCompressed(plan, str(options.model))
    return plan


def _applied(pipeline: Pipeline, options: RunOptions) -> Plan:
    assert options.output is not None
    with _executor(options.dask) as executor, progress(quiet=options.quiet) as report:
        return carry_out(
            pipeline,
            options.model,
            options.output,
            target=options.target,
            strict=options.strict,
            overwrite=options.overwrite,
            threads=options.threads,
            progress=report,
            verify=options.verify,
            cache=options.cache,
            resume=options.resume,
            executor=executor,
        )[1]


def _executor(dask: str | None) -> AbstractContextManager[Executor | None]:
    """The workers of a cluster, if one is named."""
    if dask is None:
        return nullcontext()
    from milpass.remote.cluster import dask_executor  # loads distributed

    return dask_executor(dask)


def _show(
    pipeline: Pipeline, plan: Plan, options: RunOptions, error: NothingCompressed | None = None
) -> None:
    written = None if options.dry_run or error else options.output
    if options.as_json:
        run_of: dict[str, Any] = {
            "model": str(options.model),
            "output": str(written) if written else None,
            "pipeline": repr(pipeline),
        }
        failed = {"code": error.exit_code, "message": str(error)} if error else None
        click.echo(json.dumps({**plan_data(plan), **run_of, "error": failed}, indent=1))
    elif error:
        show_rows(plan, everything=options.everything, err=True)
    elif not options.quiet:
        show_plan(plan, everything=options.everything, written=written)
