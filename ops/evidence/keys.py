"""The keys that sign checkpoints: Ed25519, each known by the log's origin and an id (c2sp.org/signed-note)."""

import base64
import binascii
import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.errors import StartupError
from engine.ports import Rng
from ops.evidence.verify import Key, key_id

SEED_BYTES = 32


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


def seed_of(text: str, name: str) -> bytes:
    """A key's 32 bytes from their base64. Raises StartupError, which never repeats the text."""
    try:
        seed = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        seed = b""
    if len(seed) != SEED_BYTES:
        raise StartupError(f"{name}: {SEED_BYTES} bytes in base64, as `openssl rand -base64 {SEED_BYTES}` writes them")
    return seed


def seed_file(path: Path, rng: Rng) -> bytes:
    """The key in this file, which is made when it is not there; two processes at once agree on one."""
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")  # 0600
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(rng.token(SEED_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)  # whole or not at all, and never over another's
        Path(name).unlink()
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        raise StartupError(f"{path} holds the key that signs checkpoints and can be read by everybody. Mend it with: chmod 600 {path}")
    return seed_of(path.read_text("ascii"), str(path))
