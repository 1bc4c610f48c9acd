"""The keys that sign checkpoints: Ed25519, each known by the log's origin and an id (c2sp.org/signed-note)."""

import base64
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ops.evidence.verify import Key, key_id


class SigningKey:
    """The private half. `text` is the public one, as anybody may have it."""

    def __init__(self, origin: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = Key(origin, key_id(origin, public), public)
        self.text = f"{origin}+{self.key.id.hex()}+{base64.b64encode(bytes([1]) + public).decode()}"

    def sign(self, text: str) -> str:
        """A line below a note."""
        return f"— {self.key.name} {base64.b64encode(self.key.id + self._private.sign(text.encode())).decode()}\n"


def signed(text: str, keys: Sequence[SigningKey]) -> str:
    """A note: a text that ends with a newline, signed by each of them."""
    return text + "\n" + "".join(key.sign(text) for key in keys)


def is_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """As verify.is_signed, sixty times as fast."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
