"""Proof of the log that needs neither us nor our database: signed checkpoints kept outside, and what is taken out of the log with them.

keys.py     who signs                                   folder.py   where checkpoints are kept
sealer.py   makes them, while an engine runs            guard.py    stops all sending where the log does not continue the last one
reread.py   what is read anew there                     resume.py   a person's word that work may go on
audit.py    the whole log against all of them           bundle.py   an order's events, or that one checkpoint continues another
verify.py   the only file that an auditor needs: it imports nothing of this
"""

from collections.abc import Mapping
from pathlib import Path

from engine.errors import StartupError
from engine.ports import Rng
from engine.vault import key_file, key_of
from ops.evidence.folder import Folder
from ops.evidence.keys import SigningKey
from ops.settings import Settings, reveal


def folder_of(settings: Settings, environment: Mapping[str, str], rng: Rng) -> Folder | None:
    """Where the settings have checkpoints kept, with the key that signs them; None: nowhere. StartupError says what is missing."""
    section, beside = settings.evidence, Path(settings.database.directory) if settings.database.directory else None
    directory = Path(section.directory) if section.directory else beside / "evidence" if beside else None
    if directory is None:
        return None
    named = ("evidence.previous_signing_key", section.previous_signing_key), ("evidence.signing_key", section.signing_key)
    seeds = [key_of(reveal(reference, name, environment).reveal(), name) for name, reference in named if reference is not None]
    if section.signing_key is None:
        if beside is None:
            raise StartupError("evidence.signing_key: give the key that signs checkpoints (openssl rand -base64 32)")
        seeds.append(key_file(beside / "evidence.key", rng))
    origin = section.origin or f"crossdock/{settings.tenant_id}"
    return Folder(directory, settings.tenant_id, [SigningKey(origin, seed) for seed in seeds])
