"""In which part of the log a stream is: hashtextextended(stream, 0) & 15, as Postgres computes it.

That is the 64-bit form of Bob Jenkins' lookup3 (src/common/hashfn.c, hash_bytes_extended, read 2026-11-25) with a seed of 0.
"""

from functools import cache

WORD = 0xFFFFFFFF
GOLDEN = 0x9E3779B9


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & WORD


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for first, second, third in ((4, 6, 8), (16, 19, 4)):
        a = (a - c & WORD) ^ _rotated(c, first)
        c = c + b & WORD
        b = (b - a & WORD) ^ _rotated(a, second)
        a = a + c & WORD
        c = (c - b & WORD) ^ _rotated(b, third)
        b = b + a & WORD
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    c = (c ^ b) - _rotated(b, 14) & WORD
    a = (a ^ c) - _rotated(c, 11) & WORD
    b = (b ^ a) - _rotated(a, 25) & WORD
    c = (c ^ b) - _rotated(b, 16) & WORD
    a = (a ^ c) - _rotated(c, 4) & WORD
    b = (b ^ a) - _rotated(a, 14) & WORD
    c = (c ^ b) - _rotated(b, 24) & WORD
    return a, b, c


@cache
def shard_of(stream: str) -> int:
    key = stream.encode()
    a = b = c = GOLDEN + len(key) + 3923095 & WORD
    while len(key) >= 12:
        a = a + int.from_bytes(key[0:4], "little") & WORD
        b = b + int.from_bytes(key[4:8], "little") & WORD
        c = c + int.from_bytes(key[8:12], "little") & WORD
        a, b, c = _mixed(a, b, c)
        key = key[12:]
    a = a + int.from_bytes(key[0:4], "little") & WORD
    b = b + int.from_bytes(key[4:8], "little") & WORD
    c = c + (int.from_bytes(key[8:11], "little") << 8) & WORD  # its lowest byte is kept for the length
    _, _, c = _final(a, b, c)
    return c & 15
