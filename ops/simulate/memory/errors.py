"""The server's errors, as asyncpg raises them: by their SQLSTATE, which names the class."""

import asyncpg


def error(sqlstate: str, message: str, *, constraint: str = "") -> asyncpg.PostgresError:
    """One to be raised."""
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": message}
    made = asyncpg.PostgresError.new({**fields, "n": constraint} if constraint else fields)
    assert isinstance(made, asyncpg.PostgresError)
    return made


def cut(cause: BaseException | None = None) -> asyncpg.PostgresError:
    """The connection went in the middle of something: whether that was done, nobody can say."""
    made = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    made.__cause__ = cause
    return made
