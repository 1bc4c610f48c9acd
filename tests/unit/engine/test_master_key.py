"""Where the master key may come from, and that no error repeats it."""

import base64
import stat
from pathlib import Path

import pytest

from engine.errors import StartupError
from engine.vault import master_key, master_key_file, master_key_from, read_master_key

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def test_it_is_32_bytes_in_base64() -> None:
    assert master_key(TEXT) == KEY == master_key(f"  {TEXT}\n")


@pytest.mark.parametrize(
    "text", ["", "secret-but-short", TEXT[:-4], TEXT + "AAAA", "!" + TEXT[1:], "é" * 44, base64.b64encode(bytes(64)).decode()]
)
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StartupError, match="32 bytes in base64") as raised:
        master_key(text)
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
                read_master_key(path)
        else:
            assert read_master_key(path) == KEY


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nowhere"):
        read_master_key(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(bytes([255]) * 32)
    with pytest.raises(StartupError, match="binary"):
        read_master_key(tmp_path / "binary")


def test_one_is_made_where_there_is_none_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    made = master_key_file(path)
    assert len(made) == 32 and master_key_file(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]
    assert master_key_file(tmp_path / "another.key") != made
