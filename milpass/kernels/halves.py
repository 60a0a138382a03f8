"""From fp32 to fp16, rounded to nearest, of two to the even one."""

import cython


def round_off(
    values: cython.const[cython.float][::1],
    bits: cython.const[cython.uint][::1],
    reals: cython.const[cython.float][::1],
    halves: cython.ushort[::1],
    sums: cython.double[::1],
) -> None:
    """Write the nearest fp16 of each value, as bits, and add to the three sums as `errors.compare` does.

    `bits` are those of the values, which are finite and below 65,520; `reals` is what each fp16 stands for.
    Down to 2**-14 the exponent loses its greater bias, and 13 bits of the fraction are rounded off; below,
    an fp16 is a multiple of 2**-24, and adding 1.5 * 2**52 rounds to it.
    """
    i: cython.Py_ssize_t
    magnitude: cython.uint
    half: cython.uint
    value: cython.double
    error: cython.double
    squared: cython.double = 0.0
    signal: cython.double = 0.0
    greatest: cython.double = sums[1]
    magic: cython.double = 6755399441055744.0
    with cython.nogil:
        for i in range(values.shape[0]):
            value = values[i]
            magnitude = bits[i] & 0x7FFFFFFF
            if magnitude >= 0x38800000:
                half = (magnitude - 0x38000000 + 0xFFF + ((magnitude >> 13) & 1)) >> 13
            else:
                half = cython.cast(cython.uint, (abs(value) * 16777216.0 + magic) - magic)
            half |= (bits[i] >> 16) & 0x8000
            halves[i] = cython.cast(cython.ushort, half)
            error = value - reals[half]
            error *= error
            squared += error
            signal += value * value
            greatest = error if error > greatest else greatest
    sums[0] += squared
    sums[1] = greatest
    sums[2] += signal
