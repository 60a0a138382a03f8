"""milpass against coremltools, side by side, with a plain copy as the floor: `python -m benchmarks`."""
