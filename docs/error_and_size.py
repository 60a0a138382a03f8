"""Draws error_and_size.svg: the example at each number of bits, by milpass and by coremltools.

    pip install 'milpass[bench]' && python docs/error_and_size.py

The error is that of all compressed weights together, as they are decoded from the written packages.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.peer import coremltools  # noqa: E402
from milpass import apply, fit_lut, read_weights, replace_const_with_lut, select_weights  # noqa: E402

EXAMPLE = ROOT / "examples" / "digits.mlpackage"
OUT = Path(__file__).with_suffix(".svg")
BITS = (1, 2, 4, 6, 8)
THRESHOLD = 512


def by_milpass(mode: str, nbits: int, folder: Path) -> Path:
    """The example through passes."""
    pipeline = (
        select_weights(threshold=THRESHOLD) | fit_lut(mode=mode, nbits=nbits) | replace_const_with_lut()
    )
    return apply(pipeline, EXAMPLE, folder / "ours.mlpackage", overwrite=True)[0]


def by_coremltools(mode: str, nbits: int, folder: Path) -> Path:
    """A copy of the example (loading rewrites its manifest) through `palettize_weights`."""
    ct = coremltools()
    cto = ct.optimize.coreml
    source, out = folder / "source.mlpackage", folder / "theirs.mlpackage"
    shutil.copytree(EXAMPLE, source, dirs_exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    model = ct.models.MLModel(str(source), skip_model_load=True)
    options = cto.OpPalettizerConfig(mode=mode, nbits=nbits, weight_threshold=THRESHOLD)
    cto.palettize_weights(model, cto.OptimizationConfig(options)).save(str(out))
    return out


def measured(package: Path) -> tuple[float, int]:
    """The signal-to-noise ratio of the compressed weights in dB, and the bytes of the package."""
    before = {name: a for name, a in read_weights(EXAMPLE).items() if a.size > THRESHOLD and a.ndim > 1}
    after = {name.removesuffix("_palettized"): array for name, array in read_weights(package).items()}
    old, new = (
        np.concatenate([arrays[name].reshape(-1) for name in before]).astype(np.float64)
        for arrays in (before, after)
    )
    return float(10 * np.log10(np.sum(old**2) / np.sum((old - new) ** 2))), package_bytes(package)


def package_bytes(package: Path) -> int:
    """The bytes of all files of a package."""
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())


def main() -> None:
    """Measure and draw: bits against error, bits against bytes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "milpass"  # the same file for the same figures
    from matplotlib import pyplot

    tools: dict[str, tuple[Callable[[str, int, Path], Path], str]] = {
        "milpass": (by_milpass, "-o"),
        "coremltools": (by_coremltools, "--x"),
    }
    figure, (errors, sizes) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    with TemporaryDirectory() as folder:
        for tool, (compress, style) in tools.items():
            for mode in ("kmeans", "uniform"):
                points = [measured(compress(mode, nbits, Path(folder))) for nbits in BITS]
                errors.plot(BITS, [snr for snr, _ in points], style, markersize=4, label=f"{tool}, {mode}")
            sizes.plot(BITS, [size / 1000 for _, size in points], style, markersize=4, label=tool)
    dense = package_bytes(EXAMPLE) / 1000
    sizes.axhline(dense, color="gray", linewidth=1, label="not compressed")
    errors.set(xlabel="bits", ylabel="signal to noise, dB")
    sizes.set(xlabel="bits", ylabel="package, kB", ylim=(0, None))
    for panel in (errors, sizes):
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
