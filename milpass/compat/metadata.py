"""What a model's constants are, and which operations read them, in coremltools' own records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.optimize.coreml import CoreMLOpMetaData, CoreMLWeightMetaData
from coremltools.optimize.coreml._config import _MetaDataDict

from milpass.compat.refusals import check_function


def get_weights_metadata(mlmodel: Any, weight_threshold: int = 2048) -> Any:
    """The constants with more than `weight_threshold` elements: name -> `CoreMLWeightMetaData`.

    As `coremltools.optimize.coreml.get_weights_metadata`, which takes those with as many elements, too.
    Raises what that raises.
    """
    check_function(mlmodel, get_weights_metadata)
    spec = mlmodel.get_spec()
    program = load(
        model_spec=spec,
        specification_version=spec.specificationVersion,
        file_weights_dir=mlmodel.weights_dir,
    )
    found = _MetaDataDict({})
    for function in program.functions.values():
        for operation in _constants(function):
            if _is_large(operation.val.val, weight_threshold):
                found[operation.name] = _metadata(operation, weight_threshold)
    return found


def _constants(block: Any) -> Iterator[Any]:
    """The constants of a block, those of blocks inside an operation first."""
    for operation in block.operations:
        for inner in operation.blocks:
            yield from _constants(inner)
        if operation.op_type == "const":
            yield operation


def _is_large(value: Any, threshold: int) -> bool:
    return isinstance(value, np.ndarray) and value.size > threshold


def _metadata(constant: Any, threshold: int) -> CoreMLWeightMetaData:
    readers = [_reader(each, threshold) for each in dict.fromkeys(constant.outputs[0].child_ops)]
    return CoreMLWeightMetaData(constant.val.val, child_ops=readers)


def _reader(operation: Any, threshold: int) -> CoreMLOpMetaData:
    """An operation, with the large constants among its inputs."""
    names = {
        name: value.op.name for name, value in operation.inputs.items() if _is_large(_value(value), threshold)
    }
    return CoreMLOpMetaData(op_type=operation.op_type, name=operation.name, params_name_mapping=names)


def _value(variable: Any) -> Any:
    """Its constant value; None for a tuple of variables."""
    return getattr(variable, "val", None)
