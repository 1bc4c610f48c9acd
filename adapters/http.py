"""HTTP calls to a marketplace: the one place where a status becomes an error of the tree.

A call goes to the host it was configured for and to no other, in bounded time, and its answer is bounded in size, ratio and depth
before anything parses it. Headers alone carry secrets; no exception, log line or URL does.
"""

import ipaddress
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec
from yarl import URL

from engine.adapter import Admission, Endpoint
from engine.errors import AdapterError, AuthError, RejectedError, StartupError, ThrottledError, UnavailableError, UnknownOutcomeError
from engine.limits import SLOW
from engine.metrics import Metrics
from engine.ports import Clock, Net

CONNECT_SECONDS = 5.0  # DNS, TCP and TLS; on the event loop's clock, as the next
TOTAL_SECONDS = 30.0  # from the first byte sent to the last one read
MAX_BODY = 8 * 1024 * 1024  # bytes, unpacked; a page of 100 orders is about 0.5 MiB
MAX_RATIO = 100  # unpacked over packed; repetitive order pages reach about 40
SMALL = 64 * 1024  # bytes below which the ratio says nothing
MAX_DEPTH = 100  # of brackets in brackets; the deepest honest answer has about 20
RETRY_AFTER = (1.0, 900.0)  # seconds; what a marketplace names is brought into this range
RETRY_AFTER_UNSAID = 60.0  # seconds; a 429 without a usable Retry-After: as long as the tightest published ceiling
MAX_WORDS = 200  # characters kept of what a marketplace says

Expect = Literal["json", "text", "nothing"]
Query: TypeAlias = Sequence[tuple[str, str]] | Callable[[], Sequence[tuple[str, str]]]
OUTCOMES: dict[type[AdapterError], str] = {
    UnavailableError: "unavailable",
    ThrottledError: "throttled",
    UnknownOutcomeError: "unknown",
    RejectedError: "rejected",
    AuthError: "auth",
}
REFUSES_KEY = frozenset({401, 402, 403, 423})  # 402, 423: a shop that is frozen or locked
NO_VERDICT = frozenset({408, 425, 499})  # 4xx that say nothing of the request itself

_PATH = re.compile(r"/[\w.~%!$&'()*+,;=:@/-]+", re.ASCII)  # RFC 3986
_QUERY = re.compile(r"[\w.~%!$&'()*+,;=:@/?-]*", re.ASCII)


class Secret:
    """A key or token: blank wherever it is printed, and legal in a header."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text.isascii() or not text.isprintable():
            raise StartupError("a secret holds a line break or another character that no header may carry")
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"


@dataclass(frozen=True)
class Reply:
    """A 2xx, read whole. With `expect="json"` the body is well-formed JSON in UTF-8, without a byte order mark."""

    status: int
    headers: Mapping[str, str]  # names compare without case
    body: bytes
    request_id: str  # theirs, to quote to their support; "" when they gave none

    @property
    def date(self) -> datetime | None:
        """Their clock when they answered, to the second; None when they did not say."""
        return _http_date(self.headers.get("Date", ""))


class Http:
    """Calls to one outside system. `headers` is asked for each call, so that a renewed token is used at once."""

    def __init__(
        self,
        *,
        target: str,
        base_url: str,
        net: Net,
        clock: Clock,
        admission: Admission,
        metrics: Metrics,
        headers: Callable[[], Mapping[str, str]],
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self.target = target
        self._base = checked_base(base_url)
        self._net, self.clock, self._admission, self._metrics, self._headers = net, clock, admission, metrics, headers
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds, sock_connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        endpoint: Endpoint,
        *,
        path: Mapping[str, str] = {},
        query: Query = (),
        json: bytes | None = None,
        form: Callable[[], aiohttp.FormData] | None = None,
        expect: Expect,
        at: str = "",
        most: int = MAX_BODY,
        counts: bool = True,
    ) -> Reply:
        """One call, once the limiter admits it: a query that is a function is asked for then, and holds what came up meanwhile.

        `at` is the address of a file, as they gave it: only its path and query are kept, and asked of our own host. `most` is how many
        bytes the answer may have. What does not count is no call by their ceiling (a further page, on some), and waits for nobody. Every
        failure is an AdapterError:

        - UnavailableError: nothing was sent, or it was only a read that got no usable answer
        - UnknownOutcomeError: a write that may have arrived, without a usable answer
        - ThrottledError, RejectedError, AuthError: they said so

        A read is sent a second time when a kept connection turns out to be closed, for which the limiter is asked again: the first may have
        arrived. A write never is, nor a read of which a second call would be seconds away: whoever asked does so again.
        """
        url = self._url(endpoint, path, () if callable(query) else query, at)
        if counts:
            await self._admission.admit(endpoint)
        started, outcome = self.clock.monotonic(), "cancelled"
        try:
            if callable(query):
                url = self._url(endpoint, path, query(), at)
            reply = await self._exchange(endpoint, url, json, form, expect, most=most, counts=counts)
            outcome = "ok"
            return reply
        except AdapterError as error:
            outcome = OUTCOMES[type(error)]
            raise
        finally:
            if counts:
                self._admission.settled(endpoint)
            self._metrics.outbound_requests.labels(self.target, endpoint.code, outcome).inc()
            self._metrics.outbound_request_seconds.labels(self.target, endpoint.code).observe(self.clock.monotonic() - started)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _url(self, endpoint: Endpoint, path: Mapping[str, str], query: Sequence[tuple[str, str]], at: str) -> URL:
        """The call's address. Nothing in a value can leave its place: a path segment stays one, and the host is ours."""
        try:
            for name, value in path.items():
                if not value.strip(". "):  # empty, or a step up
                    raise RejectedError("not a name that can stand in a path", target=self.target, endpoint=endpoint.code, field=name)
            filled = endpoint.path.format_map({name: quote(value, safe="") for name, value in path.items()})
            asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
            if at:
                filled, theirs = self._place_of(endpoint, at)
                asked = f"?{'&'.join(part for part in (theirs, asked[1:]) if part)}"
        except UnicodeEncodeError as error:
            raise RejectedError("holds half a character", target=self.target, endpoint=endpoint.code) from error
        url = URL(f"{str(self._base).rstrip('/')}{filled}{asked}", encoded=True)
        if url.origin() != self._base.origin():
            raise RejectedError("leads to another host", target=self.target, endpoint=endpoint.code)
        return url

    def _place_of(self, endpoint: Endpoint, at: str) -> tuple[str, str]:
        """Path and query of an address that they gave us, below our base. Whichever host it names, our key goes to our own."""
        try:
            there = urlsplit(at)
        except ValueError:
            there = urlsplit("")
        if not _PATH.fullmatch(there.path) or {".", ".."} & set(there.path.split("/")) or not _QUERY.fullmatch(there.query):
            raise RejectedError("not an address that can be asked for", target=self.target, endpoint=endpoint.code)
        return f"/{there.path.removeprefix(self._base.raw_path.rstrip('/')).lstrip('/')}", there.query

    async def _exchange(
        self,
        endpoint: Endpoint,
        url: URL,
        json: bytes | None,
        form: Callable[[], aiohttp.FormData] | None,
        expect: Expect,
        *,
        most: int,
        counts: bool,
    ) -> Reply:
        headers = {"Accept": "*/*" if expect == "text" else "application/json", "Accept-Encoding": "gzip", **self._headers()}
        if json is not None:
            headers["Content-Type"] = "application/json"
        for again in (endpoint.reads and not (counts and endpoint.interval >= SLOW), False):
            attempt = _Attempt()
            try:
                async with self._opened().request(
                    endpoint.method,
                    url,
                    headers=headers,
                    data=form() if form is not None else json,
                    skip_auto_headers=() if form is not None else ("Content-Type",),
                    allow_redirects=False,
                    trace_request_ctx=attempt,
                ) as response:
                    return await self._answer(endpoint, response, expect, most)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if again and attempt.reused and isinstance(error, _BrokenError):
                    if counts:
                        await self._admission.admit(endpoint)
                    continue
                if not attempt.connected:
                    what = _name(error)
                    raise UnavailableError(f"not reached ({what})", target=self.target, endpoint=endpoint.code) from None
                raise self._unanswered(endpoint, f"no answer ({_name(error)})") from None
        raise AssertionError  # the second round never continues

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._net.session(
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "crossdock"},
                auto_decompress=False,
                middlewares=[_once],
                trace_configs=[_trace()],
            )
        return self._session

    async def _answer(self, endpoint: Endpoint, response: aiohttp.ClientResponse, expect: Expect, most: int) -> Reply:
        request_id = re.sub(r"[^\w.:-]", "", response.headers.get("X-Correlation-Id") or response.headers.get("X-Request-Id") or "")[:64]
        if (theirs := _http_date(response.headers.get("Date", ""))) is not None:
            self._metrics.clock_offset_seconds.labels(self.target).set((theirs - self.clock.now()).total_seconds())
        if not 200 <= response.status < 300:
            raise await self._refusal(endpoint, response, request_id)
        try:
            body = _checked(await _read(response, most), response.content_type, expect)
        except _UnreadableError as error:
            raise self._unanswered(endpoint, str(error), response.status, request_id) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unanswered(endpoint, f"answer cut short ({_name(error)})", response.status, request_id) from None
        return Reply(response.status, response.headers, body, request_id)

    async def _refusal(self, endpoint: Endpoint, response: aiohttp.ClientResponse, request_id: str) -> AdapterError:
        status = response.status
        place: dict[str, Any] = {"target": self.target, "endpoint": endpoint.code, "request_id": request_id, "status": status}
        if status == 429:
            seconds = retry_after(response.headers, self.clock.now())
            self._admission.hold(endpoint, seconds)
            return ThrottledError("too many calls", retry_after=seconds, **place)
        if not 400 <= status < 500 or status in NO_VERDICT:
            what = "redirected; check the base URL" if 300 <= status < 400 else "cannot answer now"
            return self._unanswered(endpoint, what, status, request_id)
        try:
            detail, field = complaint(await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError, _UnreadableError):
            detail, field = "", ""
        detail = detail or "no reason given"
        return AuthError(detail, **place) if status in REFUSES_KEY else RejectedError(detail, field=field, **place)

    def _unanswered(self, endpoint: Endpoint, detail: str, status: int = 0, request_id: str = "") -> AdapterError:
        kind = UnavailableError if endpoint.reads else UnknownOutcomeError
        return kind(detail, target=self.target, endpoint=endpoint.code, request_id=request_id, status=status)


# ---------------------------------------------------------------- what aiohttp is told


class _BrokenError(aiohttp.ClientError):
    """The connection broke before the head of an answer."""


@dataclass
class _Attempt:
    connected: bool = False  # from here on the request may have left
    reused: bool = False


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends PUT and DELETE again by itself when a connection breaks. We decide that: an error it does not know stops it."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenError(_name(error)) from None


def _trace() -> aiohttp.TraceConfig:
    async def connected(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
        context.trace_request_ctx.connected = True

    async def reused(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
        context.trace_request_ctx.connected = context.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(reused)
    return trace


def _name(error: BaseException) -> str:
    """What went wrong, without the texts of others: those may hold addresses."""
    return str(error) if isinstance(error, _BrokenError) else type(error).__name__


def checked_base(base_url: str) -> URL:
    """The address of a marketplace; StartupError where a key should not be sent."""
    try:
        url = URL(base_url)
        host = url.host or ""
    except ValueError:
        raise StartupError("a base URL is not a URL") from None
    if not host or url.scheme not in ("https", "http") or url.user or url.password or url.query_string or url.fragment:
        raise StartupError("a base URL is https://host, and holds neither a login, a question mark nor a #")
    if url.scheme == "http" and not _at_home(host):
        raise StartupError(f"{host}: a key is sent over https only")
    return url


def _at_home(host: str) -> bool:
    """Hosts that no stranger can be: this machine, and names reserved for tests (RFC 6761)."""
    if host == "localhost" or host.endswith((".localhost", ".test", ".invalid")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# ---------------------------------------------------------------- reading an answer


class _UnreadableError(Exception):
    """The answer came, but is not what was asked for."""


async def _read(response: aiohttp.ClientResponse, most: int = MAX_BODY) -> bytes:
    """The body, unpacked, as long as it stays within bounds."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise _UnreadableError("packed in a way that was not asked for")
    unpack = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    packed, body = 0, bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        packed += len(chunk)
        try:
            body += unpack.decompress(chunk, most + 1 - len(body)) if unpack is not None else chunk
        except zlib.error:
            raise _UnreadableError("packed wrongly") from None
        if len(body) > most:
            raise _UnreadableError(f"longer than {most // (1024 * 1024)} MiB")
        if len(body) > max(SMALL, packed * MAX_RATIO):
            raise _UnreadableError("packed suspiciously well")
    if unpack is not None and packed and not unpack.eof:
        raise _UnreadableError("packed wrongly")
    return bytes(body)


def _checked(body: bytes, content_type: str, expect: Expect) -> bytes:
    """The body, if it is of the kind that was asked for. A maintenance page with a 200 is not."""
    if "html" in content_type:
        raise _UnreadableError("an HTML page")
    if expect == "json":
        if not content_type.endswith(("/json", "+json")):
            raise _UnreadableError("not marked as JSON")
        return well_formed(body)
    return body


def well_formed(body: bytes) -> bytes:
    """The body as JSON that may be decoded without harm, or _UnreadableError.

    Single values that no JSON has are mended, so that one order cannot hold up its page: bytes that are not UTF-8 and halves of
    characters become U+FFFD, NaN and infinities become null. Whoever reads the values refuses or reports them.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(body, MAX_DEPTH):
        raise _UnreadableError("nested too deeply")
    if not body.isascii():
        body = body.decode(errors="replace").encode()
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        body = _ESCAPE.sub(lambda met: met["whole"] or b"\\ufffd", body)
        body = _NO_NUMBER.sub(lambda met: met["text"] or b"null", body)
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except msgspec.DecodeError:
            raise _UnreadableError("not JSON") from None
    return body


_ESCAPE = re.compile(
    rb"(?P<whole>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?!\\u[dD][89a-fA-F])\\.)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)
_NO_NUMBER = re.compile(rb'(?P<text>"(?:[^"\\]++|\\.)*+"?)|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _deeper_than(body: bytes, depth: int) -> bool:
    """Whether brackets are left after peeling off that many layers. No recursion, so no depth can hurt it."""
    brackets = _STRINGS.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


# ---------------------------------------------------------------- what a refusal says

_EMAIL = re.compile(r"[^\s\"'<>@,;:(]+(?:@[^\s\"'<>@,;)]+)+")
_PHONE = re.compile(r"(?<![\w/])\+?\(?\d(?:[ ()./-]{0,2}\d){8,}")
_FIELD = re.compile(r"[A-Za-z_][\w.\[\]-]{0,63}", re.ASCII)
_FIELD_IN_WORDS = re.compile(r"\bfield '?([A-Za-z_][\w.\[\]]{0,63}?)'?(?=[.,;:\s]|$)", re.ASCII)


def scrub(words: str) -> str:
    """What a marketplace said, fit for a log: cut, on one line, without e-mail addresses and phone numbers."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words[: 4 * MAX_WORDS])
    return " ".join(_PHONE.sub("…", _EMAIL.sub("…", printable)).split())[:MAX_WORDS]


def complaint(body: bytes) -> tuple[str, str]:
    """Code and words of a refusal, scrubbed, and the field it names; empty where it gives none. Nothing else of the body is kept."""
    try:
        said: Any = msgspec.json.decode(well_formed(body))
    except (_UnreadableError, msgspec.DecodeError):
        return "", ""
    errors = said.get("errors") if isinstance(said, dict) else None
    for one in (errors[0] if isinstance(errors, list) and errors else errors, said):
        if isinstance(one, str):
            return scrub(one), _field_in(one)
        if isinstance(one, dict):
            code, words = _text(one, "code", "error"), _text(one, "message", "error_description", "detail", "title")
            if code or words:
                field = _text(one, "field")
                return scrub(": ".join(part for part in (code, words) if part)), field if _FIELD.fullmatch(field) else _field_in(words)
    return "", ""


def _text(said: dict[str, Any], *names: str) -> str:
    return next((said[name] for name in names if isinstance(said.get(name), str)), "")


def _field_in(words: str) -> str:
    named = _FIELD_IN_WORDS.search(words)
    return named[1] if named else ""


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """How long a 429 asks us to wait, in seconds: within 1 s .. 15 min whatever it says, a minute when it says nothing usable."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d{0,6})?", said, re.ASCII):
        seconds = float(said)
    elif (until := _http_date(said)) is not None:
        seconds = (until - (_http_date(headers.get("Date", "")) or now)).total_seconds()
    else:
        return RETRY_AFTER_UNSAID
    return min(max(seconds, RETRY_AFTER[0]), RETRY_AFTER[1])


def _http_date(text: str) -> datetime | None:
    try:
        said = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
