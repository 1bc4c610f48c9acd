"""Signed notes, checkpoints and keys are written in one way, and every bit of them counts."""

import pytest

from ops.evidence import verify
from ops.evidence.keys import is_signed, signed
from tests.unit.evidence.truth import KEY, LOG, NOON, SIZE, STRANGER, believed, flipped, text_of


def test_every_bit_of_a_note_counts() -> None:
    note = signed(text_of(SIZE), [KEY]).encode()
    assert believed(verify.open_checkpoint, note.decode(), [KEY.key], is_signed)
    for other in flipped(note):
        try:
            text = other.decode()
        except UnicodeDecodeError:
            continue
        assert not believed(verify.open_checkpoint, text, [KEY.key], is_signed), text


@pytest.mark.parametrize(
    "text",
    [
        f"{LOG}\n021\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n+21\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n٢١\n" + text_of(SIZE).split("\n", 2)[2],
        f"{LOG}\n21\nAAAA\n" + text_of(SIZE).split("\n", 3)[3],
        text_of(SIZE).replace("time", "times"),
        text_of(SIZE) + f"time {NOON}\n",
        text_of(SIZE).replace("+00:00", ""),
        f"{LOG}\n21\n",
        "",
    ],
)
def test_a_checkpoint_is_written_in_one_way(text: str) -> None:
    assert not believed(verify.open_checkpoint, signed(text, [KEY]), [KEY.key], is_signed)


@pytest.mark.parametrize(
    "key",
    [
        KEY.text.replace("crossdock", "Crossdock"),
        KEY.text[:-4] + "AAA=",
        KEY.text.replace(KEY.key.id.hex(), "00000000"),
        STRANGER.text.replace(STRANGER.key.id.hex(), KEY.key.id.hex()),
        LOG,
        "",
    ],
)
def test_a_key_that_is_not_what_its_id_says_is_refused(key: str) -> None:
    assert verify.read_key(KEY.text) == KEY.key
    assert not believed(verify.read_key, key)
