"""Searches by executors of any kind: the same bytes, little that moves, and one line where it goes wrong."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from milpass import UsageError, apply, fit_lut, parse, replace_const_with_lut, select_weights
from milpass.remote import sending
from tests.packages import Const, Op, digest, write_package

NUMBER = 6
KMEANS = "fit_lut(nbits=4) | replace_const_with_lut()"
PIPELINES = {
    KMEANS: NUMBER,
    "fit_lut(nbits=3, granularity=PerGroupedChannel(16)) | replace_const_with_lut()": NUMBER,
    "fit_lut(nbits=2, granularity=PerChannel(axis=1)) | replace_const_with_lut()": NUMBER,
    "fit_lut(nbits=6, cluster_dim=2) | replace_const_with_lut()": NUMBER,
    "fit_lut(nbits=4, per_channel_scale=True) | replace_const_with_lut()": NUMBER,
    "fit_affine(nbits=4, range='mse', granularity=PerBlock(16)) | replace_const_with_affine()": NUMBER,
    "prune_weights(sparsity=0.5) | fit_lut(nbits=4, inside='sparse') | fit_affine(inside='lut')"
    " | replace_const_with_sparse()": NUMBER,
    "fit_affine(nbits=8) | replace_const_with_affine()": 0,
    "fit_lut(mode='unique') | replace_const_with_lut()": 0,
}
Mapping = Callable[[dict[str, Any]], dict[str, Any]]


def written(path: Path, count: int = NUMBER, size: int = 64, seed: int = 0) -> Path:
    rng, steps = np.random.default_rng(seed), []
    for number in range(count):
        array = rng.standard_normal((size, 2 * size)).astype([np.float16, np.float32][number % 2])
        if number == 3:
            array = array.round()  # few values
        linear = Op("linear", {"x": "x", "weight": f"w{number}"}, f"y{number}")
        steps += [Const(f"w{number}", array), linear]
    return write_package(path, steps, version=9, opset="CoreML8")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("in") / "m.mlpackage")


def contents(path: Path) -> dict[str, str]:
    return {name: content for name, (content, _) in digest(path).items()}


@pytest.fixture
def elsewhere(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """How many weights were searched by others, since it was asked last."""
    caplog.set_level(logging.DEBUG, "milpass")

    def count() -> int:
        said = [record.message for record in caplog.records]
        caplog.clear()
        return sum(message.endswith(": found elsewhere") for message in said)

    return count


@pytest.fixture(scope="module", params=["threads", "fork", "spawn"])
def executor(request: pytest.FixtureRequest) -> Any:
    if request.param == "threads":
        with ThreadPoolExecutor(3) as pool:
            yield pool
    else:
        with ProcessPoolExecutor(2, get_context(request.param)) as processes:
            yield processes


@pytest.mark.parametrize("text", PIPELINES)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_same_comes_out(
    source: Path, tmp_path: Path, executor: Executor, text: str, elsewhere: Callable[[], int]
) -> None:
    pipeline = parse(f"select_weights(16) | {text}")
    if "unique" in text:
        pipeline = parse(f"select_weights(16, where=name('w3')) | {text}")
    plain, plan = apply(pipeline, source, tmp_path / "plain", threads=2)
    assert elsewhere() == 0
    for threads in (1, 2) if text == KMEANS else (2,):
        out, same = apply(
            pipeline, source, tmp_path / "out", executor=executor, threads=threads, overwrite=True
        )
        assert elsewhere() == PIPELINES[text]
        assert contents(out) == contents(plain) and same.detached() == plan.detached()


class Watched(Executor):
    """Carries out at once what it is given, and tells what; tasks and answers may be changed on the way."""

    def __init__(self, change: Mapping | None = None, answer: Callable[[Any], Any] = lambda a: a) -> None:
        self.sent: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.futures: list[Future[Any]] = []
        self._change, self._answer = change, answer

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        (task,) = arguments
        self.sent.append(task)
        future: Future[Any] = Future()
        self.futures.append(future)
        self.answers.append(self._answer(function(self._change(task) if self._change else task)))
        future.set_result(self.answers[-1])
        return future


def test_little_moves(tmp_path: Path) -> None:
    """A path, an offset, a shape, a type and a text; a table and a few numbers."""
    large = written(tmp_path / "m.mlpackage", 2, 1024)
    watched = Watched()
    apply(parse(f"select_weights(16) | {KMEANS}"), large, tmp_path / "out", executor=watched)
    rng = np.random.default_rng(0)
    for task, answer, dtype in zip(watched.sent, watched.answers, (np.float16, np.float32), strict=True):
        array = rng.standard_normal((1024, 2048)).astype(dtype)
        assert json.loads(json.dumps(task)) == task, "no more than names and numbers"
        assert len(pickle.dumps(task)) < 600 + len(str(tmp_path)) and len(answer) < 400
        file = np.memmap(task["path"], np.uint8, "r")[task["offset"] :]
        assert file[: array.nbytes].tobytes() == array.tobytes()
        assert task["fits"] == ["fit_lut(mode='kmeans', nbits=4)"] and task["shape"] == [1024, 2048]


def test_a_bounded_number_is_begun_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many, taken, most = written(tmp_path / "m.mlpackage", 40, 8), 0, 0
    watched = Watched()

    def take(*_: Any) -> None:
        nonlocal taken, most
        taken += 1
        most = max(most, len(watched.sent) - taken)

    monkeypatch.setattr(sending, "MOST_TASKS", 5)
    apply(
        parse(f"select_weights(16) | {KMEANS}"),
        many,
        tmp_path / "out",
        executor=watched,
        progress=take,
        threads=2,
    )
    assert taken == len(watched.sent) == 40 and most <= 5 + 3
    monkeypatch.setattr(sending, "MOST_TASKS", 1000)
    monkeypatch.setattr(sending, "MOST_BYTES", 5 * 4 << 4)
    watched, taken, most = Watched(), 0, 0
    apply(parse(f"select_weights(16) | {KMEANS}"), many, tmp_path / "2", executor=watched, progress=take)
    assert taken == 40 and most <= 2 * 5 + 4


def moved(root: Path) -> Mapping:
    return lambda task: {**task, "path": str(root / Path(task["path"]).name)}


def fail(_: Any) -> Any:
    raise ZeroDivisionError("of its own")


@pytest.fixture
def other_places(tmp_path: Path) -> dict[str, Watched]:
    """Executors on machines that see something else under the same names."""
    weights = Path("Data/com.apple.CoreML/weights")
    changed = written(tmp_path / "changed.mlpackage", seed=1) / weights
    short = tmp_path / "short"
    short.mkdir()
    (short / "weight.bin").write_bytes(b"short")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "weight.bin").touch()
    return {
        "no file": Watched(moved(tmp_path / "none")),
        "a folder": Watched(lambda task: {**task, "path": str(tmp_path)}),
        "other values": Watched(moved(changed)),
        "a short file": Watched(moved(short)),
        "an empty file": Watched(moved(tmp_path / "empty")),
        "another milpass": Watched(lambda task: {**task, "by": "others"}),
        "no bytes": Watched(answer=lambda answer: answer[:-1]),
        "no answer": Watched(answer=lambda answer: None),
        "an empty answer": Watched(answer=lambda answer: b""),
        "an answer of another kind": Watched(answer=bytearray),
        "a reason of another kind": Watched(answer=lambda answer: {"got": "x"}),
        "it fails": Watched(fail),
    }


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no file", "No such file or directory: .*needs a folder that it sees under this name"),
        ("a folder", "Is a directory: "),
        ("other values", "got other values in its file, needs the file that is read here"),
        ("a short file", "a file of 5 bytes"),
        ("an empty file", "a file of 0 bytes"),
        ("another milpass", "another version of milpass or numpy .* needs the same versions as here"),
        ("no bytes", "got an answer that is no fit, needs what the given function returns, as it is"),
        ("no answer", "got an answer that is no fit"),
        ("an empty answer", "got an answer that is no fit"),
        ("an answer of another kind", "got an answer that is no fit"),
        ("a reason of another kind", "got an answer that is no fit"),
        ("it fails", "got ZeroDivisionError: of its own, needs a Watched that carries out what it is given"),
    ],
)
def test_what_goes_wrong_elsewhere_is_told_in_one_line(
    source: Path, tmp_path: Path, other_places: dict[str, Watched], place: str, said: str
) -> None:
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UsageError, match=rf"^w0: the executor cannot fit it: .*{said}") as caught:
        apply(
            parse(f"select_weights(16) | {KMEANS}"),
            source,
            tmp_path / "out",
            executor=other_places[place],
            threads=2,
        )
    assert str(caught.value).endswith("Nothing was written.") and "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_an_executor_that_has_ended(source: Path, tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(UsageError, match="RuntimeError: cannot schedule new futures after shutdown"):
        apply(parse(f"select_weights(16) | {KMEANS}"), source, tmp_path / "out", executor=pool)
    assert not os.listdir(tmp_path)


def test_a_process_that_is_killed_ends_a_run_of_processes(source: Path, tmp_path: Path) -> None:
    """A pool of processes is broken by it, unlike a cluster."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        (worker,) = pool._processes
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(UsageError, match="got BrokenProcessPool: "):
            apply(parse(f"select_weights(16) | {KMEANS}"), source, tmp_path / "out", executor=pool)
    assert not os.listdir(tmp_path)


class Cancelling(Watched):
    """As a cluster whose scheduler is lost."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future


def test_a_task_that_others_cancel(source: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"w0: .*got a task that was cancelled, as by a cluster that has ended"
    ):
        apply(parse(f"select_weights(16) | {KMEANS}"), source, tmp_path / "out", executor=Cancelling())
    assert not os.listdir(tmp_path)


class Waiting(Watched):
    """Begins with a task, and with no other."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        if not self.sent:
            return super().submit(function, *arguments, **more)
        self.futures.append(Future())
        return self.futures[-1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_waits_is_begun_no_more_after_an_end(
    source: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    waiting, threads = Waiting(), threading.active_count()

    def end(*_: Any) -> None:
        raise error

    with pytest.raises(error):
        apply(
            parse(f"select_weights(16) | {KMEANS}"),
            source,
            tmp_path / "out",
            executor=waiting,
            progress=end,
            threads=1,
        )
    assert len(waiting.futures) == NUMBER and all(future.cancelled() for future in waiting.futures[1:])
    assert not os.listdir(tmp_path) and threading.active_count() == threads


def test_what_is_kept_is_not_sent(source: Path, tmp_path: Path) -> None:
    pipeline = parse(f"select_weights(16) | {KMEANS}")
    plain, _ = apply(pipeline, source, tmp_path / "plain")
    for number, expected in enumerate((NUMBER, 0)):
        watched = Watched()
        out, _ = apply(pipeline, source, tmp_path / f"{number}", executor=watched, cache=tmp_path / "cache")
        assert len(watched.sent) == expected and contents(out) == contents(plain)

    def end(_name: str, number: int, _total: int) -> None:
        if number == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply(pipeline, source, tmp_path / "r", executor=Watched(), resume=True, progress=end, threads=1)
    watched = Watched()
    out, _ = apply(pipeline, source, tmp_path / "r", executor=watched, resume=True)
    assert 0 < len(watched.sent) <= 3 and contents(out) == contents(plain)


def importance(weight: Any) -> Any:
    return np.abs(weight.load().astype(np.float64))


def test_what_others_cannot_fit_is_fitted_here(source: Path, tmp_path: Path) -> None:
    """With functions of the user's own."""
    watched = Watched()
    fit = fit_lut(nbits=4)
    for own in (
        evolve(fit, importance=importance),
        fit_lut(mode="custom", lut_function=lambda w: [0.0, 1.0]),
    ):
        pipeline = select_weights(16) | own | replace_const_with_lut()
        plain, _ = apply(pipeline, source, tmp_path / "plain", overwrite=True)
        out, _ = apply(pipeline, source, tmp_path / "out", executor=watched, overwrite=True)
        assert contents(out) == contents(plain)
    assert not watched.sent


def test_a_weight_that_cannot_be_fitted_is_a_row(tmp_path: Path) -> None:
    good, bad = (np.ones((8, 8), np.float16) for _ in range(2))
    bad[1, 1] = np.nan
    steps = [Const("a", good), Const("b", bad), Op("linear", {"x": "x", "weight": "a"}, "y")]
    source = write_package(tmp_path / "m.mlpackage", [*steps, Op("linear", {"x": "x", "weight": "b"}, "z")])
    pipeline = select_weights(16) | fit_lut(nbits=4) | replace_const_with_lut()
    _, plan = apply(pipeline, source, tmp_path / "1")
    _, same = apply(pipeline, source, tmp_path / "2", executor=Watched())
    assert same.detached() == plan.detached() and "1 its values forbid it" in same.reasons


class Client:
    """What has an executor and is none, as a dask client."""

    def get_executor(self) -> None: ...


@pytest.mark.parametrize(
    ("given", "remedy"), [(3, ""), (Client(), "get_executor()"), (ThreadPoolExecutor, "")]
)
def test_what_is_no_executor_is_refused(source: Path, tmp_path: Path, given: Any, remedy: str) -> None:
    with pytest.raises(UsageError, match=r"needs a concurrent\.futures\.Executor") as caught:
        apply(parse(f"select_weights(16) | {KMEANS}"), source, tmp_path / "out", executor=given)
    assert remedy in str(caught.value) and not os.listdir(tmp_path)
