"""Exports: asked for, waited for, read file by file. Three operations each: OR13, OR14, OR15 of orders; OF52, OF53, OF54 of offers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from msgspec import Struct

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from engine.adapter import Endpoint
from engine.errors import RejectedError, ThrottledError, UnavailableError
from schemas.values import Instant

T = TypeVar("T")

MEGABYTES = 10  # of a file; the least that may be asked for
LARGEST = 24 * 1024 * 1024  # bytes of a file as it is read: theirs may be counted otherwise
NEXT = 1.0  # seconds between two helpings of a file


class Asked(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An export that was asked for, and how much of it has been heard. Part of a cursor."""

    tracking_id: str
    at: Instant
    file: int = 0  # of its files, the one that is being heard
    heard: int = 0  # of what is in this file
    taken: bool = False  # this file was asked for, or is about to be: where files are given out once


class State(Enum):
    """Of an export of which nothing can be heard."""

    PENDING = auto()
    FOUND = auto()  # a file that is given out once: write down that it is taken, then ask again
    HEARD = auto()  # all of it was
    GONE = auto()  # or failed: another must be asked for


@dataclass(frozen=True)
class Helping(Generic[T]):
    """Some of a file, and where the next helping begins."""

    items: list[T]
    file: int
    heard: int
    pause: bool  # the next one is in another file, which has to be asked for


class Export(Generic[T]):
    """One at a time. Holds no more than one file.

    `once`: a file is given out once and never again. When its answer is lost, or the engine stops amid it, another export must be asked
    for.
    """

    def __init__(self, client: Client, status: Endpoint, download: Callable[[str], Awaitable[list[T]]], *, once: bool = False) -> None:
        self._client, self._status, self._download, self._once = client, status, download, once
        self._file: tuple[str, int, list[T]] | None = None  # tracking_id, number, what is in it
        self._found: tuple[str, int, str] | None = None  # tracking_id, number, where it is: to be taken

    async def ask(self, endpoint: Endpoint, what: Mapping[str, Any]) -> str:
        """Its tracking_id. Raises AdapterError."""
        reply = await self._client.send(endpoint, json={"megabytes_per_chunk": MEGABYTES, **what}, expect="json")
        tracking_id = self._client.read(endpoint, reply, answers.ExportAccepted).tracking_id
        if not tracking_id:
            raise UnavailableError("an export was taken without a tracking_id", target=self._client.http.target, endpoint=endpoint.code)
        return str(tracking_id)

    async def next(self, asked: Asked, most: int) -> Helping[T] | State:
        """What comes next of it. Raises AdapterError where it cannot be read now."""
        place = (asked.tracking_id, asked.file)
        items = self._file[2] if self._file is not None and self._file[:2] == place else None
        if items is None:
            found, self._found = self._found, None
            if asked.taken:
                if found is None or found[:2] != place:  # by somebody who is gone
                    return State.GONE
                url = found[2]
            else:
                try:
                    urls = await self._urls(asked)
                except RejectedError:  # it failed
                    return State.GONE
                if urls is None:
                    return State.PENDING
                if asked.file >= len(urls):
                    return State.HEARD
                url = urls[asked.file]
                if self._once:
                    self._found = (*place, url)
                    return State.FOUND
            try:
                items = await self._download(url)
            except RejectedError:  # its file has expired
                return State.GONE
            except (UnavailableError, ThrottledError):
                if not self._once:
                    raise
                return State.GONE
        told, end = items[asked.heard : asked.heard + most], asked.heard + most
        if end < len(items):
            self._file = (asked.tracking_id, asked.file, items)
            return Helping(told, asked.file, end, pause=False)
        self._file = None
        return Helping(told, asked.file + 1, 0, pause=True)

    async def _urls(self, asked: Asked) -> list[str] | None:
        """The addresses of its files; None: not yet. Raises RejectedError where it never will."""
        reply = await self._client.send(self._status, path={"tracking_id": asked.tracking_id}, expect="json")
        told = self._client.read(self._status, reply, answers.ExportStatus)
        if told.status == "COMPLETED":
            return told.urls or []
        if told.status in ("FAILED", "CANCELED", "CANCELLED"):
            raise RejectedError("the export failed", target=self._client.http.target, endpoint=self._status.code)
        if told.status != "PENDING":
            self._client.metrics.schema_unknown_enum.labels("mirakl", self._status.code).inc()
        return None
