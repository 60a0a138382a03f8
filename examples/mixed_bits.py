"""More bits where it matters: by what a weight is used for, and by where it stands.

The program stands for a small transformer; the same pipeline works on a package or inside a conversion.
"""

from milpass import apply, fit_lut, replace_const_with_lut, select_weights
from milpass.selectors import is_weight, last, role
from milpass.testing import read_program

TRANSFORMER = """
    @iOS18
    def main(ids: int32[8]):
        table = const(fp16[256, 64])
        x = gather(x=table, indices=ids, axis=0)
        wq = const(fp16[64, 64])
        wk = const(fp16[64, 64])
        wv = const(fp16[64, 64])
        q = linear(x=x, weight=wq)
        k = linear(x=x, weight=wk)
        v = linear(x=x, weight=wv)
        s = matmul(x=q, y=k, transpose_y=True)
        p = softmax(x=s, axis=-1)
        m = matmul(x=p, y=v)
        wo = const(fp16[64, 64])
        o = linear(x=m, weight=wo)
        r = add(x=x, y=o)
        up = const(fp16[256, 64])
        h = linear(x=r, weight=up)
        g = gelu(x=h)
        down = const(fp16[64, 256])
        d = linear(x=g, weight=down)
        head = const(fp16[256, 64])
        y = linear(x=d, weight=head)
        return y
"""

PIPELINE = (
    select_weights(where=is_weight)
    | fit_lut(nbits=4)
    | select_weights(where=role("attention"))
    | fit_lut(nbits=6)
    | select_weights(where=role("embedding") | last("linear"))
    | fit_lut(nbits=8)
    | replace_const_with_lut()
)


def main() -> None:
    """Print what becomes of each weight."""
    _, plan = apply(PIPELINE, read_program(TRANSFORMER))
    print(plan)


if __name__ == "__main__":
    main()
