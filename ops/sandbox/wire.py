"""A request and a reply as values: what the two systems answer with, before any network comes into it."""

from collections.abc import Mapping

from msgspec import Struct


class Request(Struct, frozen=True):
    method: str
    path: str  # without the prefix under which a system is served
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}  # names in lower case
    body: bytes = b""
    base: str = ""  # under which the system is served, for addresses in its answers: http://127.0.0.1:8080/mirakl

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)


class Reply(Struct, frozen=True):
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    kind: str = "application/json; charset=utf-8"


class RefusalError(Exception):
    """An operation was understood and refused. Told again at the same moment, it is refused again in the same way."""
