"""verify.py as an auditor runs it: what it is given may be anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.evidence import verify
from tests.unit.evidence.truth import KEY, STRANGER, bundle_of


def test_what_is_no_evidence_at_all_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = bundle_of()
    wrong: list[Any] = [
        [],
        {},
        {"format": "something else"},
        true | {"events": "many"},
        true | {"events": [True]},
        true | {"events": [true["events"][0] | {"position": "3"}]},
        true | {"events": [true["events"][0] | {"position": 2**80}]},
        true | {"events": [true["events"][0] | {"proof": ["zz"]}]},
        true | {"events": [true["events"][0] | {"event_id": 5}]},
        true | {"rotations": ["x"]},
        true | {"checkpoint": None},
    ]
    for number, each in enumerate(wrong):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(each))
        assert verify.main(["--key", KEY.text, str(file)]) == 1, each
        assert "DOES NOT HOLD" in capsys.readouterr().err
    file = tmp_path / "true.json"
    file.write_text(json.dumps(true))
    assert verify.main(["--key", KEY.text, "--quiet", str(file)]) == 0
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{STRANGER.text}\n{KEY.text}\n")
    assert verify.main(["--key", str(keys), str(file)]) == 0
    assert verify.main(["--key", STRANGER.text, str(file)]) == 1
    assert verify.main(["--key", "nonsense", str(file)]) == 1
    assert "NOT VERIFIED: --key: not a public key" in capsys.readouterr().err
    file.write_bytes(b"\xff\xd8")
    for place, said in ((file, "not a text"), (tmp_path / "nowhere", "No such file")):
        assert verify.main(["--key", KEY.text, str(place)]) == 1
        assert f"{place}: NOT VERIFIED: {said}" in capsys.readouterr().err, "of what was not looked at nothing is said"
