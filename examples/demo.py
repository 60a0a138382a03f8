"""Compresses the digit classifier to 8, 4 and 2 bits and shows what each costs in accuracy.

Core ML itself predicts on Apple's systems only, so the accuracy is that of a numpy forward pass over the
weights as they are decoded from the packages just written.
"""

from pathlib import Path

import numpy as np
from digits_network import accuracy

import milpass
from milpass import fit_lut, replace_const_with_lut, select_weights

HERE = Path(__file__).parent
MODEL = HERE / "digits.mlpackage"
OUTPUT = HERE.parent / "demo"


def package_bytes(package: Path) -> int:
    """The bytes of all files of a package."""
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())


def report(name: str, package: Path, test: dict[str, np.ndarray]) -> None:
    """One line on a package: its size, and the share of test images that it classifies rightly."""
    share = accuracy(milpass.read_weights(package), test["images"], test["labels"])
    print(f"{name:>8}  {package_bytes(package):>9,} bytes  {100 * share:5.1f} % of {len(test['labels'])}")


def main() -> None:
    """Compress, print the plan of the 4-bit model, then the comparison."""
    OUTPUT.mkdir(exist_ok=True)
    test = dict(np.load(HERE / "digits_test.npz"))
    packages = {"dense": MODEL}
    for nbits in (8, 4, 2):
        pipeline = select_weights(threshold=512) | fit_lut(nbits=nbits) | replace_const_with_lut()
        packages[f"{nbits} bits"], plan = milpass.apply(
            pipeline, MODEL, OUTPUT / f"digits-{nbits}bit.mlpackage", overwrite=True
        )
        if nbits == 4:
            print(f"{pipeline}\n\n{plan}\n")
    for name, package in packages.items():
        report(name, package, test)
    print(f"\nThe compressed packages are in {OUTPUT.name}/")


if __name__ == "__main__":
    main()
