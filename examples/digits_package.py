"""Builds the Core ML package of the digit classifier so that a rebuild gives the same bytes."""

import json
import shutil
import uuid
from pathlib import Path

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Program, Var

UUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "milpass/examples/digits.mlpackage")
CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"


def build_model(arrays: dict[str, np.ndarray]) -> ct.models.MLModel:
    """The float16 ML program from float32 arrays named such as `conv1_weight`."""
    model = ct.convert(
        _program(arrays),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )
    _describe(model)
    return model


def _program(arrays: dict[str, np.ndarray]) -> Program:
    """The network written with the MIL builder, which keeps the names given here."""

    def digits(image: Var) -> Var:
        x = mb.conv(x=image, **_layer(arrays, "conv1"), pad_type="same", name="conv1")
        x = mb.relu(x=x, name="conv1_relu")
        padding = {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}
        x = mb.conv(x=x, **_layer(arrays, "conv2"), **padding, name="conv2")
        x = mb.relu(x=x, name="conv2_relu")
        x = mb.reshape(x=x, shape=[1, 1024], name="flat")
        x = mb.linear(x=x, **_layer(arrays, "hidden"), name="hidden")
        x = mb.relu(x=x, name="hidden_relu")
        x = mb.linear(x=x, **_layer(arrays, "output"), name="output")
        return mb.softmax(x=x, axis=-1, name="probabilities")

    inputs = [mb.TensorSpec(shape=(1, 1, 8, 8))]
    program: Program = mb.program(input_specs=inputs, opset_version=ct.target.iOS16)(digits)
    return program


def _layer(arrays: dict[str, np.ndarray], name: str) -> dict[str, Var]:
    """Weight and bias consts of one layer."""
    parts = ("weight", "bias")
    return {part: mb.const(val=arrays[f"{name}_{part}"], name=f"{name}_{part}") for part in parts}


def _describe(model: ct.models.MLModel) -> None:
    """Sets what the package says about itself."""
    model.author = "The milpass authors"
    model.license = "BSD-3-Clause"
    model.short_description = (
        "Classifies 8x8 images of handwritten digits. Trained on the digits of scikit-learn, "
        "from UCI Optical Recognition of Handwritten Digits (CC BY 4.0)."
    )
    model.input_description["image"] = "One image, values from 0 (empty) to 1 (ink)."
    model.output_description["probabilities"] = "Probability of each digit from 0 to 9."
    # The date would make every rebuild differ.
    model.user_defined_metadata.pop(CONVERSION_DATE, None)


def save_package(model: ct.models.MLModel, path: Path) -> None:
    """Writes the package, replacing an older one."""
    shutil.rmtree(path, ignore_errors=True)
    model.save(str(path))
    specification = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    specification.write_bytes(model.get_spec().SerializeToString(deterministic=True))
    _fix_identifiers(path / "Manifest.json")


def _fix_identifiers(manifest_path: Path) -> None:
    """Replaces the random identifiers of a manifest by ones derived from the item paths."""
    manifest = json.loads(manifest_path.read_text())
    entries = manifest["itemInfoEntries"]
    names = {old: str(uuid.uuid5(UUID_NAMESPACE, item["path"])).upper() for old, item in entries.items()}
    manifest["itemInfoEntries"] = {names[old]: item for old, item in entries.items()}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    manifest_path.write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")
