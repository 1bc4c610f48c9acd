"""The Merkle trees and proofs of RFC 6962, word for word as it defines them: slow, and easily compared with it."""

import hashlib
from collections.abc import Sequence


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(leaves: Sequence[bytes]) -> int:
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return k


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = _split(leaves)
    return node(root_of(leaves[:k]), root_of(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of 2.1.1."""
    if len(leaves) < 2:
        return []
    k = _split(leaves)
    return [*path(m, leaves[:k]), root_of(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), root_of(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF of 2.1.2."""
    return _subproof(m, leaves, whole=True) if 0 < m < len(leaves) else []


def _subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = _split(leaves)
    if m <= k:
        return [*_subproof(m, leaves[:k], whole=whole), root_of(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], whole=False), root_of(leaves[:k])]
