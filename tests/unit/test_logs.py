"""A log line is JSON with named fields, and no person and no secret is in it (P1)."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from engine.metrics import Metrics
from engine.ports import SystemClock
from ops.logs import configure_logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs(SystemClock(), Metrics(), stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def read(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_tells_when_how_bad_and_what(lines: io.StringIO) -> None:
    structlog.get_logger().info("polled", source="mirakl:asos:orders", heard=3)
    [line] = read(lines)
    assert list(line)[:3] == ["at", "level", "what"]
    assert line["source"] == "mirakl:asos:orders" and line["what"] == "polled"


@pytest.mark.parametrize(
    "private",
    [
        "ann.example@notification.mirakl.net",
        "shpat_0123456789abcdef0123456789abcdef",
        "Authorization: 0a1b2c3d-4e5f",
        "Bearer abc.def",
        "+44 7700 900123",
        "postgresql://crossdock:hunter2@db/crossdock",
    ],
)
def test_what_looks_private_is_blanked(lines: io.StringIO, private: str) -> None:
    structlog.get_logger().warning("refused", detail=f"they said {private} here")
    logging.getLogger("asyncpg").warning("they said %s here", private)
    assert "[redacted]" in lines.getvalue()
    assert private.rsplit(maxsplit=1)[-1] not in lines.getvalue() and "hunter2" not in lines.getvalue()


def test_what_is_ours_is_left_alone(lines: io.StringIO) -> None:
    names = {"order": "00012345-A", "gid": "gid://shopify/Order/9007199254740993", "at_position": "12", "when": "2026-11-20T12:00:00+00:00"}
    structlog.get_logger().info("done", **names)
    [line] = read(lines)
    assert names.items() <= line.items()


def test_an_exception_shows_its_place_and_class_but_not_its_words(lines: io.StringIO) -> None:
    try:
        raise ValueError("Ann Example, 1 Example Street")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("failed")
    assert "Ann" not in lines.getvalue()
    assert all("ValueError < test_logs.py" in line["exception"] for line in read(lines))
