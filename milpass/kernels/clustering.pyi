from typing_extensions import Buffer

def accumulate(values: Buffer, counts: Buffer, centre: float, sums: Buffer) -> None: ...
def accumulate_exactly(values: Buffer, counts: Buffer, origin: int, sums: Buffer) -> None: ...
def sweep(
    sums: Buffer,
    exact: bool,
    price: float,
    best: Buffer,
    previous: Buffer,
    candidates: Buffer,
    starts: Buffer,
) -> None: ...
