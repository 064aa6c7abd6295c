"""Random changes to bytes, for runs without a guide: the same ones for the same seed."""

import random
from collections.abc import Iterator, Sequence

TOKENS = (
    b"\0", b"\n", b"\r\n", b",", b'"', b"'", b"{", b"}", b"[", b"]", b"..", b"/", b"\\", b"\xff", b"\xef\xbb\xbf",
    b"nan", b"-1", b"1e999", b"18446744073709551616", b"null", b"true", b"\x1b[31m", b"=1", b"\xff\xff\xff\x7f",
    b"IDAT", b"IEND", b"\xff\xd9", b"DICM", b"--", b" ",
)  # fmt: skip


def mutated(seeds: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` variants of the seeds, each changed in one to four places."""
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(data) + 1)
            end = min(len(data), place + draw.choice((0, 1, 1, 2, 4, 64)))
            data[place:end] = _piece(draw, seeds)
        yield bytes(data)


def _piece(draw: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Nothing, a byte, a token, or a part of another seed."""
    kind = draw.randrange(4)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes([draw.randrange(256)])
    if kind == 2:
        return draw.choice(TOKENS)
    other = draw.choice(seeds)
    start = draw.randrange(len(other) + 1)
    return other[start : start + draw.choice((1, 8, 64))]
