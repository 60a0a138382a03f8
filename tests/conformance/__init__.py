"""coremltools' own tests of its functions, run with those of milpass.compat in their place."""
