"""The verifier's own Ed25519 is that of RFC 8032, and agrees with the library's."""

import base64
import hashlib

import pytest

from ops.evidence import verify
from ops.evidence.keys import SigningKey, is_signed
from tests.unit.evidence.truth import LOG

# RFC 8032, 7.1: public key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "text", "signature"), VECTORS)
def test_signatures_are_those_of_rfc_8032(public: str, text: str, signature: str) -> None:
    key, message, signed_ = bytes.fromhex(public), bytes.fromhex(text), bytes.fromhex(signature)
    assert verify.is_signed(key, message, signed_)
    assert not verify.is_signed(key, message + b"x", signed_)
    for place in range(0, 64, 7):
        other = bytearray(signed_)
        other[place] ^= 1
        assert not verify.is_signed(key, message, bytes(other))
    larger = (int.from_bytes(signed_[32:], "little") + verify.L).to_bytes(32, "little")
    assert not verify.is_signed(key, message, signed_[:32] + larger), "the same signature, written otherwise"
    for short in (signed_[:63], signed_ + b"x", b""):
        assert not verify.is_signed(key, message, short)
    assert not verify.is_signed(key[:31], message, signed_) and not verify.is_signed(b"\xff" * 32, message, signed_)


def test_both_checks_of_a_signature_say_the_same() -> None:
    """Ours, and that of `cryptography`: of true ones, of ones with a bit flipped in key, text or signature, and of odd points."""
    points = [
        bytes(32),
        bytes([1]) + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        b"\xee" + b"\xff" * 30 + b"\x7f",
        bytes([1]) + bytes(30) + b"\x80",
    ]
    for number in range(24):
        key, text = SigningKey(LOG, hashlib.sha256(bytes([number])).digest()), bytes([number]) * number
        public, signature = key.key.public, base64.b64decode(key.sign(text.decode("latin-1")).split()[2])[4:]
        text = text.decode("latin-1").encode()
        for place in (0, 31 + number % 33, 63):
            other = bytearray(signature)
            other[place] ^= 1 << number % 8
            assert verify.is_signed(public, text, bytes(other)) == is_signed(public, text, bytes(other))
        assert verify.is_signed(public, text, signature) and is_signed(public, text, signature)
        odd = points[number % len(points)]
        for made in (odd + signature[32:], odd + bytes(32)):
            assert verify.is_signed(public, text, made) == is_signed(public, text, made)
