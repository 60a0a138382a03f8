"""One case: a damaged package, what is asked of milpass, and what must come of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from attrs import frozen
from google.protobuf.message import DecodeError, EncodeError

from milpass import MilpassError, NothingCompressed, apply, parse
from milpass.errors import VerificationError
from milpass.inspection import inspect_weights
from milpass.plan import Plan, Replaced
from milpass.reading import decoded
from milpass.report import plan_data
from milpass.targets import Target, open_target
from milpass.weight import Key, Weight
from tests.fuzzing.messages import damaged_message
from tests.fuzzing.networks import damaged_network, in_file, networks
from tests.fuzzing.octets import damaged_blobs, damaged_bytes, damaged_values
from tests.fuzzing.pipelines import in_pipeline
from tests.fuzzing.programs import damaged_program, damaged_types, spliced
from tests.fuzzing.samples import Sample, samples
from tests.packages import digest

DAMAGES: tuple[Callable[[Sample, Random], Sample], ...] = (
    damaged_bytes,
    damaged_blobs,
    damaged_values,
    damaged_message,
    damaged_message,
    damaged_program,
    damaged_program,
    damaged_types,
    spliced,
)
OF_NETWORKS: tuple[Callable[[Sample, Random], Sample], ...] = (
    damaged_bytes,
    damaged_message,
    damaged_message,
    damaged_network,
    damaged_network,
    damaged_network,
)
# How often a neural network is damaged, and how often it stands in a file of its own.
NETWORKS, IN_FILE = 0.3, 0.7
CHOSEN = "select_weights(threshold=0, where=anything)"
PIPELINES = (
    f"{CHOSEN} | fit_lut(mode='uniform', nbits=4) | replace_const_with_lut()",
    "select_weights(threshold=50) | fit_lut(nbits=2) | replace_const_with_lut()",
    f"{CHOSEN} | fit_affine() | replace_const_with_affine()",
    f"{CHOSEN} | prune_weights(sparsity=0.5) | replace_const_with_sparse()",
    f"{CHOSEN} | fit_cast() | replace_const_with_cast()",
    "select_weights(threshold=0) | prune_weights(sparsity=0.3, around='lut') | replace_const_with_sparse()",
    "select_weights(threshold=0) | fit_affine(inside='lut') | replace_const_with_lut()",
    "select_weights(where=near('conv', 2) | first('linear')) | fit_lut(nbits=1) | replace_const_with_lut()",
    "select_weights(threshold=0, where=~role('bias')) | fit_lut(mode='unique') | replace_const_with_lut()",
    f"{CHOSEN} | fit_affine(mode='dynamic', granularity=PerTensor()) | replace_const_with_affine()",
    f"{CHOSEN} | fit_affine(mode='linear_symmetric', nbits=4) | replace_const_with_affine()",
    "decompress()",
    "decompress()",
)
# How often a model is put into a pipeline of models.
IN_PIPELINE = 0.1
TARGETS = (None, None, None, None, "iOS18", "iOS16")


@frozen
class Case:
    """Everything about a case follows from a text."""

    seed: str

    def package(self, folder: Path) -> Random:
        """Write the damaged package to a new folder; gives what chooses how it is used."""
        random = Random(self.seed)
        found, damages = (networks(), OF_NETWORKS) if random.random() < NETWORKS else (samples(), DAMAGES)
        sample = random.choice(found)
        for damage in random.choices(damages, k=random.choice((1, 1, 2))):
            # no message may be left to the second, or one that is too deep
            with suppress(MilpassError, DecodeError, EncodeError):
                sample = damage(sample, random)
        if random.random() < IN_PIPELINE:
            with suppress(MilpassError, DecodeError, EncodeError):
                sample = in_pipeline(sample, random)
        if found is networks() and random.random() < IN_FILE:
            sample = in_file(sample)
        sample.write(folder)
        return random

    def outcome(self, folder: Path) -> str:
        """Write the package, let milpass try, and tell what came of it, in words without its own numbers.

        Raises `AssertionError` for what must not come of it, and whatever else milpass lets escape.
        """
        package = folder / "damaged.mlpackage"
        random = self.package(package)
        before, kind = _read(package), ".mlmodel" if package.is_file() else ".mlpackage"
        out = folder / f"out{kind}"
        try:
            return _tried(package, out, random)
        except VerificationError as error:
            raise AssertionError(f"written wrongly: {error}") from error
        except MilpassError as error:
            _check_refusal(error, folder)
            return f"refused: {_generalized(str(error))}"
        finally:
            assert _read(package) == before, "the input was touched"
            for each in (package, out):
                each.unlink(missing_ok=True) if each.is_file() else shutil.rmtree(each, ignore_errors=True)


def _read(model: Path) -> dict[str, tuple[str, int]]:
    """What is in a model's folder, or its file, in a form that can be compared."""
    return digest(model) or {"": (model.read_bytes().hex(), model.stat().st_mtime_ns)}


def _tried(package: Path, out: Path, random: Random) -> str:
    """Read all values, or carry a pipeline out."""
    if random.random() < 0.2:
        inspect_weights(package)
        return "inspected"
    targets = (None,) if package.is_file() else TARGETS
    pipeline, target = parse(random.choice(PIPELINES)), random.choice(targets)
    try:
        planned = pipeline.plan(package, target=target)
        _check_told(planned)
        _, plan = apply(pipeline, package, out, target=target, threads=1)
    except NothingCompressed as nothing:
        _check_told(nothing.plan)
        _check_refusal(nothing, out.parent)
        return "nothing compressed"
    _check_told(plan)
    left = {each.name for each in out.parent.iterdir()}
    assert left == {package.name, out.name}, f"left: {left}"
    _check_result(package, out, plan)
    return "compressed and decoded"


def _check_refusal(error: MilpassError, folder: Path) -> None:
    """One line, of a length that can be read, and nothing left beside the package."""
    text = str(error)
    assert text.isprintable() and len(text) < 5000, text[:500]
    assert [each.name for each in folder.iterdir()] == ["damaged.mlpackage"], "something was left"


def _check_told(plan: Plan) -> None:
    """A plan can be printed and told as data, on lines of its own that are not endless."""
    text = str(plan)
    assert all(line.isprintable() for line in text.split("\n"))
    assert max(map(len, text.split("\n"))) < 10_000
    plan_data(plan)


def _check_result(package: Path, out: Path, plan: Plan) -> None:
    """What was stored anew decodes to its shape, and all else to the values that it had."""
    source, result = open_target(package), open_target(out)
    before, after = _by_key(source), _by_key(result)
    assert before.keys() == after.keys(), f"gone or new: {before.keys() ^ after.keys()}"
    replaced = {row.weight.key: row.entry for row in plan.replaced}
    for key, weight in after.items():
        values = _values(result, weight)
        if key not in replaced:
            assert _same(values, _values(source, before[key])), f"{key} has other values"
            continue
        assert values is not None and values.shape == before[key].shape, f"{key} does not decode"
        entry = replaced[key]
        if isinstance(entry, Replaced) and entry.fits[0].encoding == "dense":
            assert _same(values, _values(source, before[key])), f"{key} was decompressed wrongly"


def _by_key(target: Target) -> dict[Key, Weight]:
    return {each.key: each for each in target.weights()}


def _values(target: Target, weight: Weight) -> Any:
    """The decoded values, None where they cannot be read."""
    try:
        return decoded(target, weight)
    except (ValueError, MilpassError):
        return None


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is None and other is None
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _generalized(message: str) -> str:
    """A message without paths, names and numbers, so that like ones count together."""
    message = re.sub(r"^.*?: (milpass|apply|the pipeline) cannot", r"\1 cannot", message)
    message = re.sub(r"'[^']*'", "'...'", message)
    message = re.sub(r"[\d,.]*\d", "N", message)
    return message[:110]
