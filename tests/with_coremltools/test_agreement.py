"""What milpass writes and knows by itself, held against coremltools."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import pytest
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
from coremltools.libmilstoragepython import _BlobStorageReader, _BlobStorageWriter

from milpass import apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from milpass.dialects.ios16 import LEGAL
from milpass.targets.mlpackage.blobs import BlobFile, BlobWriter
from milpass.targets.opsets import OPSETS, REDEFINED
from milpass.targets.storage import TYPES
from tests.packages import blob_bytes, operations_of
from tests.with_coremltools.conftest import ROOT

REGISTRY = SSAOpRegistry.core_ops
EXAMPLE = ROOT / "examples" / "digits.mlpackage"
STORED = {"fp16": "fp16", "fp32": "float", "uint8": "uint8", "int8": "int8"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(
    ct.__version__ == "8.2", reason="palettize_weights of coremltools 8.2 does not find its own pass"
)
@pytest.mark.parametrize("nbits", [1, 2, 4, 6, 8])
def test_operations_are_those_that_coremltools_writes(nbits: int, tmp_path: Path) -> None:
    pipeline = select_weights(threshold=512) | fit_lut(nbits=nbits) | replace_const_with_lut()
    ours, _ = apply(pipeline, EXAMPLE, tmp_path / "ours.mlpackage")
    tables = {array.tobytes(): palette(array) for array in read_weights(ours).values()}
    dense = read_weights(EXAMPLE)
    chosen = {dense[n].tobytes(): tables[read_weights(ours)[n].tobytes()] for n in dense}
    theirs = tmp_path / "theirs.mlpackage"
    palettized_by_coremltools(tmp_path, lambda w: chosen[w.tobytes()], nbits).save(str(theirs))
    ops = {op.attributes["name"].SerializeToString(): op for op in operations_of(theirs).values()}
    compared = 0
    for name, op in operations_of(ours).items():
        if op.type != "constexpr_lut_to_dense":
            continue
        (peer,) = [p for p in ops.values() if p.type == op.type and name in p.outputs[0].name]
        assert set(op.attributes) == set(peer.attributes)
        for attribute in ("indices", "lut", "shape"):
            assert_equal_values(ours, op.attributes[attribute], theirs, peer.attributes[attribute])
        assert op.outputs[0].type == peer.outputs[0].type
        compared += 1
    assert compared == 3


def palette(array: np.ndarray) -> np.ndarray:
    """The distinct values of a decoded weight, ascending."""
    return np.array(sorted(set(array.reshape(-1).tolist())), array.dtype)


def palettized_by_coremltools(folder: Path, table_of: Any, nbits: int) -> Any:
    """The example through coremltools' own palettizer, with given tables."""

    def lut_function(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        table = table_of(weight)
        indices = np.searchsorted((table[1:].astype(float) + table[:-1]) / 2, weight.reshape(-1))
        padding = np.repeat(table[-1:], (1 << nbits) - table.size)
        return np.concatenate([table, padding]), indices.astype(np.uint8)

    copy = folder / "copy.mlpackage"
    shutil.copytree(EXAMPLE, copy)
    model = ct.models.MLModel(str(copy), skip_model_load=True)
    options = cto.OpPalettizerConfig(mode="custom", lut_function=lut_function, weight_threshold=512)
    return cto.palettize_weights(model, cto.OptimizationConfig(global_config=options))


def assert_equal_values(left: Path, ours: Any, right: Path, theirs: Any) -> None:
    assert ours.type == theirs.type
    assert ours.WhichOneof("value") == theirs.WhichOneof("value")
    if ours.WhichOneof("value") == "blobFileValue":
        assert blob_bytes(left, ours) == blob_bytes(right, theirs)
        assert ours.blobFileValue.fileName == theirs.blobFileValue.fileName
    else:
        assert ours.immediateValue == theirs.immediateValue


def test_weight_files_have_the_bytes_of_coremltools_writer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "fp16": rng.standard_normal(37).astype(np.float16),
        "fp32": rng.standard_normal(19).astype(np.float32),
        "uint8": rng.integers(0, 255, 101).astype(np.uint8),
        "int8": rng.integers(-128, 127, 64).astype(np.int8),
    }
    theirs = _BlobStorageWriter(str(tmp_path / "theirs.bin"))
    expected = {}
    for dtype, array in arrays.items():
        raw = array.view(np.uint16) if dtype == "fp16" else array
        expected[dtype] = getattr(theirs, f"write_{STORED[dtype]}_data")(raw)
    del theirs
    with BlobWriter(tmp_path / "ours.bin") as ours:
        offsets = {
            dtype: ours.append(TYPES[dtype].code, array.nbytes, [array]) for dtype, array in arrays.items()
        }
    assert offsets == expected
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes()
    reader = _BlobStorageReader(str(tmp_path / "ours.bin"))
    assert np.array_equal(reader.read_float_data(offsets["fp32"]), arrays["fp32"])
    blob = BlobFile(tmp_path / "theirs.bin", "theirs").blob(offsets["int8"])
    assert blob.data.tobytes() == arrays["int8"].tobytes()


@pytest.mark.parametrize("name", [name for name in REDEFINED if hasattr(ct.target, name)])
def test_redefined_operations_are_those_of_the_registry(name: str) -> None:
    """All whose inputs change are known, but for those spelled anew; none is known that did not change."""
    formats = list(OPSETS)
    releases = [getattr(ct.target, formats[formats.index(name) + step]) for step in (-1, 0)]
    versions = {op: [latest(found, release) for release in releases] for op, found in REGISTRY.items()}
    changed = {op: pair for op, pair in versions.items() if pair[0] and pair[0] is not pair[1]}
    inputs = {op: [set(each.input_spec.input_types) for each in pair] for op, pair in changed.items()}
    others = {op for op, (old, new) in inputs.items() if old != new and not op.startswith("constexpr_")}
    assert others <= REDEFINED[name] <= set(changed)


def latest(versions: dict[Any, type], release: Any) -> type | None:
    """An operation's definition in a release."""
    known = [each for each in versions if each <= release]
    return versions[max(known)] if known else None


def test_opsets_are_those_of_coremltools() -> None:
    for name, (version, opset) in OPSETS.items():
        if name not in ct.target.__members__:
            assert ct.__version__.startswith("8."), "a release that coremltools 8 does not know"
            continue
        target = getattr(ct.target, name)
        assert (target.value, ct._OPSET[target]) == (version, opset)


def test_legal_numbers_of_bits_are_those_of_the_operation() -> None:
    operation = SSAOpRegistry.core_ops["constexpr_lut_to_dense"][ct.target.iOS16]
    accepted = [n for n in range(1, 9) if accepts(operation, n)]
    assert tuple(accepted) == LEGAL["lut"]


def accepts(operation: Any, nbits: int) -> bool:
    """Whether the operation's own type check takes a table of so many bits."""
    from types import SimpleNamespace

    fake = SimpleNamespace(
        indices=SimpleNamespace(rank=1, shape=(nbits,)),
        lut=SimpleNamespace(rank=1, shape=(1 << nbits,), dtype=types.fp16),
        shape=SimpleNamespace(rank=1, val=np.array([8], np.uint32)),
    )
    try:
        operation.type_inference(fake)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("order", ["milpass first", "coremltools first"])
def test_messages_pass_between_milpass_and_coremltools(order: str) -> None:
    imports = ["from milpass.targets.protobuf import mil, parse_model", "import coremltools"]
    if order == "coremltools first":
        imports.reverse()
    code = f"""
        import warnings, logging; warnings.simplefilter("ignore")
        logging.getLogger("coremltools").setLevel(logging.CRITICAL)
        {imports[0]}
        mine = parse_model(b"", "new") if {order == "milpass first"} else None
        {imports[1]}
        from coremltools.proto import Model_pb2, MIL_pb2
        ours, theirs = parse_model(b"", "new"), Model_pb2.Model()
        theirs.mlProgram.functions["f"].opset = "CoreML6"
        ours.CopyFrom(theirs)
        ours.mlProgram.functions["f"].block_specializations["CoreML6"].operations.append(mil().Operation(type="a"))
        theirs.MergeFrom(ours)
        block = theirs.mlProgram.functions["f"].block_specializations["CoreML6"]
        block.operations.append(MIL_pb2.Operation(type="b"))
        print([op.type for op in block.operations])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().splitlines()[-1:] == ["['a', 'b']"], done.stderr
