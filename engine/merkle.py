"""The Merkle tree of RFC 6962: which hashes a root and a proof are made of. Pure; where the hashes are kept is engine/tiles.py.

A run of leaves is named (first, end), as in range(first, end). Each run that a proof asks for splits into perfect subtrees, (level, nth):
the 2 ** level leaves from nth * 2 ** level on.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

EMPTY = sha256().digest()  # the root of no leaves

Run = tuple[int, int]  # first, end
Node = tuple[int, int]  # level, nth


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def perfect(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of neighbours."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[place], hashes[place + 1]) for place in range(0, len(hashes), 2)]
    return hashes[0]


def nodes_of(run: Run) -> Iterator[Node]:
    """The perfect subtrees that a run of a proof is made of, from the left; each is smaller than the one before."""
    first, end = run
    while first < end:
        level = (end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def folded(hashes: Iterable[bytes]) -> bytes:
    """The root of a run, from its perfect subtrees."""
    *left, root = hashes
    for each in reversed(left):
        root = node_hash(each, root)
    return root


class Frontier:
    """A tree that only grows, and tells its root: it keeps one hash for each perfect subtree that it is made of."""

    def __init__(self) -> None:
        self.size = 0
        self._perfect: list[bytes] = []

    def add(self, entries: Iterable[bytes]) -> None:
        kept, size = self._perfect, self.size
        for entry in entries:
            found, size = leaf_hash(entry), size + 1
            for _ in range((size & -size).bit_length() - 1):
                found = node_hash(kept.pop(), found)
            kept.append(found)
        self.size = size

    def root(self) -> bytes:
        return folded(self._perfect) if self._perfect else EMPTY


def inclusion(index: int, size: int) -> list[Run]:
    """The runs whose roots prove that a leaf, counted from 0, is in the tree of `size`: PATH of RFC 6962, 2.1.1, from the leaf up."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} has no leaf {index}")
    runs, first, end = [], 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            runs.append((middle, end))
            end = middle
        else:
            runs.append((first, middle))
            first = middle
    return runs[::-1]


def consistency(old: int, new: int) -> list[Run]:
    """The runs whose roots prove that the tree of `old` leaves is how that of `new` begins: PROOF of RFC 6962, 2.1.2.

    None where either tree is empty or both are of one size: then there is nothing to prove, or nothing but that the roots are equal.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} does not begin with {old} leaves")
    if old in (0, new):
        return []
    runs, first, end, known = [], 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            runs.append((middle, end))
            end = middle
        else:
            runs.append((first, middle))
            first, known = middle, False
    if not known:
        runs.append((first, end))
    return runs[::-1]


def _split(length: int) -> int:
    """The largest power of two below it."""
    return 1 << (length - 1).bit_length() - 1
