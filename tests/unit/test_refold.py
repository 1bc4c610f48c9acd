"""What the child of `replay --with` may not do, and whose code it loads."""

import os
from pathlib import Path

import pytest

from ops.refold import NotChangedError, Overlay, no_way_out


@pytest.mark.parametrize(
    "event",
    [
        "socket.connect",
        "socket.getaddrinfo",
        "socket.bind",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.remove",
        "os.rename",
    ],
)
def test_no_way_leads_out(event: str) -> None:
    with pytest.raises(PermissionError):
        no_way_out(event, ())


def test_files_are_read_and_never_written() -> None:
    no_way_out("open", ("/etc/hostname", "r", os.O_RDONLY | os.O_CLOEXEC))
    no_way_out("import", ("json", None))
    for flags in (os.O_WRONLY | os.O_CREAT, os.O_RDWR, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(PermissionError):
            no_way_out("open", ("/tmp/x", "w", flags))  # noqa: S108 - never opened


def test_a_file_a_package_and_a_checkout_lay_their_modules_over_ours(tmp_path: Path) -> None:
    """Whatever is not there is ours; what is there and the same changes nothing."""
    package = tmp_path / "projections"
    package.mkdir()
    (package / "orders.py").write_text("changed = True\n")
    (package / "tracking.py").write_text((Path(__file__).parents[2] / "projections" / "tracking.py").read_text())
    for path in (tmp_path, package):
        overlay = Overlay(path)
        assert (sorted(overlay.files), overlay.changed) == (["projections.orders", "projections.tracking"], ["projections.orders"])
        spec = overlay.find_spec("projections.orders")
        assert spec is not None and spec.origin == str(package / "orders.py")
        assert overlay.find_spec("projections.stock") is None
    assert Overlay(package / "orders.py").changed == ["projections.orders"]
    with pytest.raises(NotChangedError):
        Overlay(tmp_path / "projections" / "nothing")
