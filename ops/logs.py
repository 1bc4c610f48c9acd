"""One JSON object a line, with named fields, to standard error; what looks like a person or a secret is blanked on its way out.

Fields are chosen where a line is written and hold ids, counts and codes. The redactor is the second net, not the first.
"""

import json
import logging
import re
import sys
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from engine.metrics import Metrics
from engine.ports import Clock

_LOOKS_PRIVATE = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # an e-mail address
    r"|\bshp[a-z]{2}_[0-9A-Za-z]{8,}"  # a Shopify token
    r"|(?i:bearer|authorization|api[_-]?key|password|secret)[\"'=: ]+\S+"
    r"|postgres(?:ql)?://[^\s@/]+:[^\s@]+@"  # a password in a database's address
    r"|(?<![\w:/.-])\+\d[\d ()-]{7,}\d"  # a telephone number as people write it abroad
)
_FRAMES = 12  # of a stack: enough to find the place


def configure_logs(clock: Clock, metrics: Metrics | None = None, *, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Route structlog and the libraries' own logging through one pipeline. Call once, before work starts."""

    def timestamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["at"] = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        for name, value in event.items():
            if isinstance(value, str):
                clean, times = _LOOKS_PRIVATE.subn("[redacted]", value)
                if times:
                    event[name] = clean
                    if metrics is not None:
                        metrics.log_redactions.inc(times)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        timestamp,
        structlog.processors.ExceptionRenderer(_bare_traceback),
        redact,
    ]
    structlog.configure(
        processors=[*shared, _line],
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def _line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """When, how bad, what; then the fields."""
    first = {"at": event.pop("at"), "level": event.pop("level"), "what": event.pop("event")}
    return json.dumps({**first, **event}, default=str, ensure_ascii=False)


def _bare_traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Where it happened, by file, line and function, and which class was raised: never its text, which may quote a payload."""
    _, error, trace = exc_info
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " < ".join([type(error).__name__, *reversed(places[-_FRAMES:])])
