"""An executor of a dask cluster, by the address of its scheduler."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from milpass.errors import InstallationError, UsageError

# Seconds in which a scheduler answers and has a worker.
PATIENCE = 10
ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://[^\s/]+:\d+/?")
NEEDS = "the address of a scheduler, tcp://HOST:PORT"


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The workers of a scheduler such as "tcp://host:8786" as an executor, which is let go of in the end.

    Raises `UsageError` where no scheduler answers, or has no worker, and `InstallationError` without dask.
    """
    client_class = _client_class(address)
    with _quiet():
        client = _connected(client_class, address)
        try:
            _await_worker(client, address)
            executor: Executor = client.get_executor(pure=False)
            yield executor
        finally:
            client.close(timeout=1)


def _client_class(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InstallationError(
            f"--dask {address}",
            who="milpass",
            cannot="reach a cluster",
            got="no package `distributed`",
            needs="it",
            remedy="pip install 'milpass[dask]'",
        ) from None
    return Client


def _connected(client_class: Any, address: str) -> Any:
    if not ADDRESS.fullmatch(address):  # a client half made of one would wait when it is let go of
        raise _unreachable(address, repr(address), NEEDS)
    client = client_class.__new__(client_class)
    try:
        client.__init__(address, timeout=PATIENCE, set_as_default=False)
        return client
    except Exception as error:
        client.status = "closed"  # as above
        raise _unreachable(address, _said(error), NEEDS) from error


def _await_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except Exception as error:
        raise _unreachable(address, _said(error), "a scheduler with at least one worker") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _unreachable(address: str, got: str, needs: str) -> UsageError:
    return UsageError(f"--dask {address}", who="milpass", cannot="reach a cluster", got=got, needs=needs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what `distributed` logs of lost connections, which is told in one line or does not matter."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    loggers = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
