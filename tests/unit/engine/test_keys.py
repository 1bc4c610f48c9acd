"""Where a key may come from, and that no error repeats it."""

import base64
import stat
from pathlib import Path

import pytest

from engine.errors import StartupError
from engine.ports import SystemRng
from engine.vault import key_file, key_of, master_key_from, read_key

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def test_it_is_32_bytes_in_base64() -> None:
    assert key_of(TEXT, "a key") == KEY == key_of(f"  {TEXT}\n", "a key")


@pytest.mark.parametrize(
    "text", ["", "secret-but-short", TEXT[:-4], TEXT + "AAAA", "!" + TEXT[1:], "é" * 44, base64.b64encode(bytes(64)).decode()]
)
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StartupError, match=r"^vault\.master_key: .*32 bytes in base64.*openssl") as raised:
        key_of(text, "vault.master_key")
    assert not text or text not in str(raised.value)
    assert raised.value.__cause__ is None


def test_it_comes_from_the_environment_or_a_file_that_this_names(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(TEXT)
    path.chmod(0o600)
    assert master_key_from({}) is None
    assert master_key_from({"CROSSDOCK_MASTER_KEY": TEXT}) == KEY
    assert master_key_from({"CROSSDOCK_MASTER_KEY_FILE": str(path)}) == KEY


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(TEXT)
    for mode, refused in ((0o604, True), (0o602, True), (0o640, False), (0o400, False)):
        path.chmod(mode)
        if refused:
            with pytest.raises(StartupError, match="chmod 600"):
                read_key(path)
        else:
            assert read_key(path) == KEY


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nowhere"):
        read_key(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(bytes([255]) * 32)
    for read in (read_key, lambda path: key_file(path, SystemRng())):
        with pytest.raises(StartupError, match="binary"):
            read(tmp_path / "binary")


def test_one_is_made_where_there_is_none_and_then_kept(tmp_path: Path) -> None:
    path, rng = tmp_path / "master.key", SystemRng()
    made = key_file(path, rng)
    assert len(made) == 32 and key_file(path, rng) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]
    assert key_file(tmp_path / "new" / "another.key", rng) != made
