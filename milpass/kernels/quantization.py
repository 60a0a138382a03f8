"""Rounding to whole numbers by a scale and a zero point, or a bias, for each row."""

import cython

# Adding and taking away 1.5 * 2**52 rounds a double to the nearest whole number, of two to the even one.


def widen(
    patterns: cython.const[cython.ushort][::1],
    floats: cython.const[cython.float][::1],
    values: cython.float[::1],
) -> None:
    """Write the value of each 16-bit pattern, from a table of all 65,536."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(patterns.shape[0]):
            values[i] = floats[patterns[i]]


def quantize(
    values: cython.const[cython.float][:, ::1],
    scales: cython.const[cython.double][::1],
    zeros: cython.const[cython.double][::1],
    low: cython.double,
    high: cython.double,
    codes: cython.uchar[:, ::1],
) -> None:
    """Write round(value / scale) + zero, clipped to low..high, less low; one scale and zero for each row."""
    row: cython.Py_ssize_t
    i: cython.Py_ssize_t
    scale: cython.double
    zero: cython.double
    code: cython.double
    magic: cython.double = 6755399441055744.0
    with cython.nogil:
        for row in range(values.shape[0]):
            scale = scales[row]
            zero = zeros[row]
            for i in range(values.shape[1]):
                code = values[row, i] / scale
                code = (
                    low
                    if code < low - zero
                    else (high if code > high - zero else ((code + magic) - magic) + zero)
                )
                codes[row, i] = cython.cast(cython.uchar, code - low)


def compare(
    values: cython.const[cython.float][:, ::1],
    codes: cython.const[cython.uchar][:, ::1],
    seen: cython.const[cython.float][:, ::1],
    errors: cython.double[:, ::1],
) -> None:
    """Write for each row the squared error, the square of the greatest and the sum of squares of its values.

    `seen` has for each row what each code stands for.
    """
    row: cython.Py_ssize_t
    i: cython.Py_ssize_t
    value: cython.double
    error: cython.double
    squared: cython.double
    greatest: cython.double
    signal: cython.double
    with cython.nogil:
        for row in range(values.shape[0]):
            squared = 0.0
            greatest = 0.0
            signal = 0.0
            for i in range(values.shape[1]):
                value = values[row, i]
                error = value - seen[row, codes[row, i]]
                error *= error
                squared += error
                signal += value * value
                greatest = error if error > greatest else greatest
            errors[row, 0] = squared
            errors[row, 1] = greatest
            errors[row, 2] = signal


def assess(
    values: cython.const[cython.float][:, ::1],
    scales: cython.const[cython.double][::1],
    zeros: cython.const[cython.double][::1],
    low: cython.double,
    high: cython.double,
    sums: cython.double[:, ::1],
) -> None:
    """Write for each row the squared error of rounding, and the sums of value * number and of number**2.

    A number is a code less its zero point; the last sum over the one before is the best scale for the codes.
    """
    row: cython.Py_ssize_t
    i: cython.Py_ssize_t
    value: cython.double
    number: cython.double
    error: cython.double
    scale: cython.double
    least: cython.double
    most: cython.double
    squared: cython.double
    first: cython.double
    second: cython.double
    magic: cython.double = 6755399441055744.0
    with cython.nogil:
        for row in range(values.shape[0]):
            scale = scales[row]
            least = low - zeros[row]
            most = high - zeros[row]
            squared = 0.0
            first = 0.0
            second = 0.0
            for i in range(values.shape[1]):
                value = values[row, i]
                number = value / scale
                number = least if number < least else (most if number > most else (number + magic) - magic)
                error = value - scale * number
                squared += error * error
                first += value * number
                second += number * number
            sums[row, 0] = squared
            sums[row, 1] = first
            sums[row, 2] = second


def quantize_biased(
    values: cython.const[cython.float][:, ::1],
    scales: cython.const[cython.float][::1],
    biases: cython.const[cython.float][::1],
    high: cython.double,
    codes: cython.uchar[:, ::1],
    errors: cython.double[:, ::1],
) -> None:
    """Write round((value - bias) / scale), clipped to 0..high; 0 where the scale is 0.

    And what `compare` does, of codes that stand for scale * code + bias, in fp32, as readers compute it.
    """
    row: cython.Py_ssize_t
    i: cython.Py_ssize_t
    scale: cython.float
    bias: cython.float
    seen: cython.float
    value: cython.double
    code: cython.double
    error: cython.double
    divisor: cython.double
    top: cython.double
    squared: cython.double
    greatest: cython.double
    signal: cython.double
    magic: cython.double = 6755399441055744.0
    with cython.nogil:
        for row in range(values.shape[0]):
            scale = scales[row]
            bias = biases[row]
            divisor = scale if scale != 0.0 else 1.0
            top = high if scale != 0.0 else 0.0
            squared = 0.0
            greatest = 0.0
            signal = 0.0
            for i in range(values.shape[1]):
                value = values[row, i]
                code = (value - bias) / divisor
                code = 0.0 if code < 0.0 else (top if code > top else (code + magic) - magic)
                codes[row, i] = cython.cast(cython.uchar, code)
                seen = scale * cython.cast(cython.float, code) + bias
                error = value - seen
                error *= error
                squared += error
                signal += value * value
                greatest = error if error > greatest else greatest
            errors[row, 0] = squared
            errors[row, 1] = greatest
            errors[row, 2] = signal


def assess_biased(
    values: cython.const[cython.float][:, ::1],
    scales: cython.const[cython.double][::1],
    biases: cython.const[cython.double][::1],
    high: cython.double,
    sums: cython.double[:, ::1],
) -> None:
    """Write for each row the squared error of rounding as `quantize_biased` does, and four sums.

    Of value, number, value * number and number**2: they tell the best scale and bias for the numbers.
    """
    row: cython.Py_ssize_t
    i: cython.Py_ssize_t
    value: cython.double
    number: cython.double
    error: cython.double
    scale: cython.double
    divisor: cython.double
    bias: cython.double
    squared: cython.double
    first: cython.double
    second: cython.double
    third: cython.double
    fourth: cython.double
    magic: cython.double = 6755399441055744.0
    with cython.nogil:
        for row in range(values.shape[0]):
            scale = scales[row]
            divisor = 1.0 if scale == 0.0 else scale
            bias = biases[row]
            squared = 0.0
            first = 0.0
            second = 0.0
            third = 0.0
            fourth = 0.0
            for i in range(values.shape[1]):
                value = values[row, i]
                number = (value - bias) / divisor
                number = 0.0 if number < 0.0 else (high if number > high else (number + magic) - magic)
                error = value - (scale * number + bias)
                squared += error * error
                first += value
                second += number
                third += value * number
                fourth += number * number
            sums[row, 0] = squared
            sums[row, 1] = first
            sums[row, 2] = second
            sums[row, 3] = third
            sums[row, 4] = fourth
