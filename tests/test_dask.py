"""A real cluster: a scheduler and two workers, processes of their own, on this machine."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from milpass import UsageError, apply, parse
from milpass.cli import main
from milpass.errors import InstallationError
from milpass.remote import cluster as own
from milpass.remote import sending
from tests.packages import Const, Op, digest, write_package

distributed = pytest.importorskip("distributed", reason="dask is not installed (the extra `dask`)")

NUMBER = 12
PIPELINE = "select_weights(16) | fit_lut(nbits=6, cluster_dim=2) | replace_const_with_lut()"
ON_LOOPBACK: dict[str, Any] = {
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": {"dashboard": False},
    "threads_per_worker": 1,
    "silence_logs": logging.CRITICAL,
}
pytestmark = pytest.mark.filterwarnings("default:::distributed", "default:::tornado")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, processes=True, **ON_LOOPBACK) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, steps = np.random.default_rng(1), []
    for number in range(NUMBER):
        array = rng.standard_normal((96, 128)).astype([np.float16, np.float32][number % 2])
        linear = Op("linear", {"x": "x", "weight": f"w{number}"}, f"y{number}")
        steps += [Const(f"w{number}", array), linear]
    return write_package(tmp_path_factory.mktemp("in") / "m.mlpackage", steps, version=9, opset="CoreML8")


@pytest.fixture(scope="module")
def plain(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return apply(parse(PIPELINE), source, tmp_path_factory.mktemp("out") / "plain.mlpackage")[0]  # type: ignore[no-any-return]


def contents(path: Path) -> dict[str, str]:
    return {name: content for name, (content, _) in digest(path).items()}


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_cluster_as_an_executor(
    cluster: Any, source: Path, plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "milpass")
    with distributed.Client(cluster, set_as_default=False) as client:
        with pytest.raises(UsageError, match=r"got a Client, needs .* Hand over its get_executor\(\)"):
            apply(parse(PIPELINE), source, tmp_path / "out", executor=client)
        executor = client.get_executor(pure=False)
        out, _ = apply(parse(PIPELINE), source, tmp_path / "out", executor=executor)
    assert sum(record.message.endswith(": found elsewhere") for record in caplog.records) == NUMBER
    assert contents(out) == contents(plain)


def test_a_worker_that_is_killed_in_mid_run(cluster: Any, source: Path, plain: Path, tmp_path: Path) -> None:
    """Its tasks are carried out by others, and the package is the same."""
    with distributed.Client(cluster, set_as_default=False) as client:
        killed: list[int] = []
        waiting: list[int] = []

        def kill(_name: str, number: int, _total: int) -> None:
            if number == 1:
                waiting.append(sum(map(len, client.processing().values())))
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        executor = client.get_executor(pure=False)
        out, _ = apply(parse(PIPELINE), source, tmp_path / "out", executor=executor, progress=kill, threads=1)
        assert contents(out) == contents(plain)
        client.wait_for_workers(2, timeout=30)
        assert waiting[0] > 0 and killed[0] not in client.run(os.getpid).values()


def test_the_command_takes_an_address(cluster: Any, source: Path, plain: Path, tmp_path: Path) -> None:
    done = run("apply", source, "-o", tmp_path / "out", "-p", PIPELINE, "--dask", cluster.scheduler_address)
    assert done.exit_code == 0, done.stderr
    assert contents(tmp_path / "out") == contents(plain)
    tables = ["palettize", source, "-o", tmp_path / "2", "--threshold", 16]
    assert run(*tables, "--dask", cluster.scheduler_address).exit_code == 0
    assert run(*tables[:3], tmp_path / "3", *tables[4:]).exit_code == 0
    assert contents(tmp_path / "2") == contents(tmp_path / "3")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "Timed out|refused"),
        ("nonsense", "got 'nonsense'"),
        ("foo://127.0.0.1:1", "got 'foo"),
        ("tls://127.0.0.1:1", "TLS"),
        ("tcp://127.0.0.1", "got 'tcp"),
        ("", "got ''"),
    ],
)
def test_no_scheduler_is_told_in_one_line(
    source: Path, tmp_path: Path, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "PATIENCE", 0.3)
    begun = time.monotonic()
    refused = run("palettize", source, "-o", tmp_path / "out", "--dask", address)
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 2 and line.startswith(f"milpass: --dask {address}: milpass cannot reach"), (
        line
    )
    assert any(word in line for word in said.split("|")) and "needs the address of a scheduler" in line
    assert not os.listdir(tmp_path) and time.monotonic() - begun < 5


def test_a_scheduler_without_workers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "PATIENCE", 0.3)
    with distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp", **ON_LOOPBACK) as empty:
        refused = run("palettize", source, "-o", tmp_path / "out", "--dask", empty.scheduler_address)
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 2 and "needs a scheduler with at least one worker" in line
    assert not os.listdir(tmp_path)


def elsewhere(task: dict[str, Any]) -> Any:
    """A worker that has no shared storage."""
    from milpass.remote.worker import search

    return search({**task, "path": f"/nowhere{task['path']}"})


def test_a_worker_without_shared_storage(
    cluster: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "search", elsewhere)
    said = (
        r"^w0: the executor cannot fit it: got No such file or directory: /nowhere/.* \(on .*\), needs a fol"
    )
    client = distributed.Client(cluster, set_as_default=False)
    with client, pytest.raises(UsageError, match=said):
        apply(parse(PIPELINE), source, tmp_path / "out", executor=client.get_executor(pure=False))
    assert not os.listdir(tmp_path)


INTERRUPTED = """
import os, signal, sys, threading
from milpass.cli import main
from milpass.errors import InstallationError
from milpass.remote import sending
kept = sending.Sender._begun
def begun(self, asked):
    for each in kept(self, asked):
        os.kill(os.getpid(), signal.SIGINT)
        yield each
sending.Sender._begun = begun
main(prog_name="milpass")
"""


def test_ctrl_c_ends_a_run_on_a_cluster(cluster: Any, source: Path, tmp_path: Path) -> None:
    command = ["apply", source, "-o", tmp_path / "out", "-p", PIPELINE, "--dask", cluster.scheduler_address]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "milpass: interrupted, nothing was written\n")
    assert not os.listdir(tmp_path)
    with distributed.Client(cluster, set_as_default=False) as client:
        deadline = time.monotonic() + 20
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline, (
                "the scheduler lets go of what a client that left has asked for"
            )
            time.sleep(0.05)


def test_without_dask(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = run("palettize", source, "-o", tmp_path / "out", "--dask", "tcp://127.0.0.1:8786")
    assert refused.exit_code == InstallationError.exit_code
    assert "pip install 'milpass[dask]'" in refused.stderr and not os.listdir(tmp_path)
