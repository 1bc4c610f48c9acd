"""A process beside the measuring one, as it starts it: each part says what its own is for."""

import sys

import uvloop

from ops.bench.beside import rebuild_alone, work_beside
from ops.bench.torture import write

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", url_, name_, seconds_]:
            uvloop.run(write(url_, name_, float(seconds_)))
        case ["rebuild", url_]:
            uvloop.run(rebuild_alone(url_))
        case ["part" | "prove" as what_, url_]:
            uvloop.run(work_beside(what_, url_))
