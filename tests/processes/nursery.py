"""Where `crossdock` commands are born as processes of their own: forked from one that has loaded everything, they start in a tenth of the
time, and live and die as any other. Asked by lines of JSON on standard input, one answer each.

    {"args": ["serve", …], "said": FILE, "pace": …}   answers {"pid": …}
    {"look": PID}                                      answers {"code": …}: its exit code, or minus a signal's number; null while it lives

`pace` {"start", "since", "speed", "lease_seconds"}: the clock of `serve` starts at `start` (ISO 8601) when the machine's monotonic clock
stands at `since`, and runs `speed` times as fast: as a sandbox's does. Leases are in real time, and shorter than in earnest.
"""

import ctypes
import json
import os
import signal
import sys
from datetime import datetime
from functools import partial
from typing import Any

import ops.report
import ops.sandbox.alone
import ops.serve
from engine.ports import AcceleratedClock
from ops.__main__ import main
from ops.service import Service

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Paced(AcceleratedClock):
    """The clock of a world that somebody else began: every process that is told the same reads the same."""

    def __init__(self, pace: dict[str, Any]) -> None:
        super().__init__(datetime.fromisoformat(pace["start"]), pace["speed"])
        self._since = pace["since"]


def become(args: list[str], said: str, pace: dict[str, Any] | None) -> None:
    """The command, in this process, until its end."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # nothing outlives the tests
    for fd, path, how in ((0, os.devnull, os.O_RDONLY), (1, said, os.O_WRONLY), (2, said, os.O_WRONLY)):
        os.dup2(os.open(path, how | os.O_CREAT | os.O_APPEND, 0o600), fd)
    if pace is not None:
        clock = Paced(pace)
        vars(ops.serve).update(SystemClock=lambda: clock, Service=partial(Service, lease_seconds=pace["lease_seconds"]))
    main.main(args, prog_name="crossdock")


def born(wish: dict[str, Any]) -> int:
    """Its process id."""
    if pid := os.fork():
        return pid
    code = 70  # of <sysexits.h>: something that nobody foresaw
    try:
        become(wish["args"], wish["said"], wish.get("pace"))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - the fork must not go on as its mother
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(wish: dict[str, Any]) -> dict[str, int | None]:
    if "look" in wish:
        pid, status = os.waitpid(wish["look"], os.WNOHANG)
        return {"code": os.waitstatus_to_exitcode(status) if pid else None}
    return {"pid": born(wish)}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
