"""What plays need: a Postgres that is theirs alone, whichever the rest of the suite is run against."""

from collections.abc import Iterator

import pytest

from ops.simulate.server import own_server
from ops.simulate.store import PostgresStore


@pytest.fixture(scope="session")
def play_store() -> Iterator[PostgresStore]:
    with own_server() as store:
        yield store
