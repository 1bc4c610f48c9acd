"""Every way in which a call can go wrong is one error of the tree, and a write goes out once."""

import asyncio
import contextlib
import gzip
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from adapters.http import MAX_BODY, Http, Secret, complaint, retry_after, scrub, well_formed
from engine.adapter import Endpoint
from engine.errors import AdapterError, AuthError, RejectedError, StartupError, ThrottledError, UnavailableError, UnknownOutcomeError
from engine.metrics import Metrics
from tests.loopback import NOW, Answer, OpenDoor, StillClock, calling, json_answer, loopback

pytestmark = pytest.mark.anyio

READ = Endpoint("R1", "GET", "/api/things/{id}", calls=10, per=1, reads=True)
WRITE = Endpoint("W1", "PUT", "/api/things/{id}", calls=10, per=1)
POSTED_READ = Endpoint("Q1", "POST", "/graphql", calls=10, per=1, reads=True)
SELDOM_READ = Endpoint("R2", "GET", "/api/things/{id}", calls=1, per=60, reads=True)
NO_ANSWER = {"R1": UnavailableError, "W1": UnknownOutcomeError}


def raw(text: bytes, *, then: str = "close") -> Answer:
    """Exactly these bytes on the wire, and then the end of the connection, by FIN or by RST; or silence."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(text)
        await asyncio.sleep(0.01)
        if then == "abort":
            request.transport.abort()
        elif then == "close":
            request.transport.close()
        await asyncio.sleep(30)
        raise AssertionError

    return answer


def page(body: bytes, kind: str, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"Content-Type": kind, **headers})

    return answer


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", "Content-Type: application/json", *lines, "", "")).encode()


async def trickle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def asked(answer: Answer, endpoint: Endpoint, *, expect: Any = "json", **options: Any) -> Any:
    """What one call to such a server comes to: a Reply or an AdapterError."""
    async with loopback(answer) as server, calling(server.url, **options) as http:
        try:
            return await http.send(endpoint, path={"id": "1"}, expect=expect)
        except AdapterError as error:
            failed = error
    assert failed.target == "mirakl:test" and failed.endpoint == endpoint.code
    return failed


# ---------------------------------------------------------------- a status is one error

OWN_ERROR = [
    (400, RejectedError),
    (404, RejectedError),
    (405, RejectedError),
    (406, RejectedError),
    (409, RejectedError),
    (410, RejectedError),
    (413, RejectedError),
    (415, RejectedError),
    (422, RejectedError),
    (401, AuthError),
    (402, AuthError),
    (403, AuthError),
    (423, AuthError),
    (429, ThrottledError),
]


@pytest.mark.parametrize("endpoint", [READ, WRITE], ids=lambda e: e.code)
@pytest.mark.parametrize(("status", "kind"), OWN_ERROR)
async def test_what_they_say_clearly_means_the_same_for_reads_and_writes(status: int, kind: type[AdapterError], endpoint: Endpoint):
    error = await asked(json_answer({"message": "No.", "status": status}, status, {"X-Correlation-Id": "c-1"}), endpoint)
    assert type(error) is kind and error.status == status and error.request_id == "c-1"
    if kind is not ThrottledError:
        assert error.detail == "No."


@pytest.mark.parametrize("endpoint", [READ, WRITE], ids=lambda e: e.code)
@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520, 301, 302, 303, 307, 308, 304])
async def test_where_they_do_not_say_a_write_may_have_been_done(status: int, endpoint: Endpoint):
    where = {"Location": "http://169.254.169.254/latest/meta-data"} if status < 400 else {}
    error = await asked(page(b"<h1>secret host 10.0.0.7</h1>", "text/html", status, where), endpoint)
    assert type(error) is NO_ANSWER[endpoint.code] and error.status == status
    assert "10.0.0.7" not in str(error) and "169.254" not in str(error)


BROKEN: Mapping[str, Answer] = {
    "an HTML maintenance page": page(b"<html>back soon</html>", "text/html; charset=utf-8"),
    "HTML that calls itself XHTML": page(b"{}", "application/xhtml+xml"),
    "JSON under another name": page(b"{}", "text/plain"),
    "malformed JSON": page(b'{"a": 1', "application/json"),
    "nothing at all": page(b"", "application/json"),
    "UTF-16": page('{"a": 1}'.encode("utf-16"), "application/json; charset=utf-16"),
    "nesting of 100,000": page(b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "a body over 8 MiB": page(b'"' + b"x" * MAX_BODY + b'"', "application/json"),
    "a gzip bomb": page(gzip.compress(b" " * 7_000_000), "application/json", headers={"Content-Encoding": "gzip"}),
    "gzip cut short": page(gzip.compress(b'{"a": 1}')[:-4], "application/json", headers={"Content-Encoding": "gzip"}),
    "gzip that is none": page(b'{"a": 1}', "application/json", headers={"Content-Encoding": "gzip"}),
    "a packing not asked for": page(b'{"a": 1}', "application/json", headers={"Content-Encoding": "br"}),
    "a body cut by FIN": raw(head("Content-Length: 100") + b'{"a"'),
    "a body cut by RST": raw(head("Content-Length: 100") + b'{"a"', then="abort"),
    "chunks cut short": raw(head("Transfer-Encoding: chunked") + b'5\r\n{"a":'),
    "a head cut short": raw(b"HTTP/1.1 200 OK\r\nContent-"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "RST instead of an answer": raw(b"", then="abort"),
    "FIN instead of an answer": raw(b""),
    "a black hole": raw(b"", then="silence"),
    "a black hole after the head": raw(head("Content-Length: 9"), then="silence"),
    "a trickle without end": trickle,
    "a header without end": raw(head("X-Long: " + "x" * 100_000) + b"{}"),
}


@pytest.mark.parametrize("endpoint", [READ, WRITE], ids=lambda e: e.code)
@pytest.mark.parametrize("what", BROKEN)
async def test_no_usable_answer(what: str, endpoint: Endpoint):
    seconds = 0.3 if "hole" in what or "trickle" in what else 5.0
    error = await asked(BROKEN[what], endpoint, total_seconds=seconds)
    assert type(error) is NO_ANSWER[endpoint.code], repr(error)


async def test_a_status_counts_even_when_its_body_does_not_come():
    cut = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    assert type(await asked(raw(cut), WRITE)) is RejectedError


async def test_where_nothing_was_sent_nothing_was_done():
    async with loopback(json_answer({})) as server:
        gone = server.url
    for address in (gone, "http://nobody.invalid", gone.replace("http://", "https://")):
        async with calling(address) as http:
            with pytest.raises(UnavailableError, match="not reached"):
                await http.send(WRITE, path={"id": "1"}, expect="nothing")


async def test_a_host_that_speaks_no_tls_was_told_nothing():
    async with loopback(json_answer({})) as server, calling(server.url.replace("http://", "https://")) as http:
        with pytest.raises(UnavailableError, match="not reached"):
            await http.send(WRITE, path={"id": "1"}, expect="nothing")
        assert server.calls == []


# ---------------------------------------------------------------- a usable answer


async def test_a_reply_is_read_whole():
    packed = {"Content-Encoding": "gzip", "X-Request-Id": "r-1\t2", "Date": "Thu, 13 Aug 2026 09:00:07 GMT"}
    metrics = Metrics()
    reply = await asked(page(gzip.compress(b'{"a": 43.00}'), "application/json;charset=UTF-8", 200, packed), READ, metrics=metrics)
    assert (reply.status, reply.body, reply.request_id) == (200, b'{"a": 43.00}', "r-12")
    assert reply.date == NOW + timedelta(seconds=7)
    assert metrics.registry.get_sample_value("crossdock_clock_offset_seconds", {"target": "mirakl:test"}) == 7.0
    assert metrics.registry.get_sample_value("crossdock_outbound_request_seconds_count", {"target": "mirakl:test", "op": "R1"}) == 1


async def test_a_byte_order_mark_and_a_problem_type_are_no_obstacle():
    assert (await asked(page(b"\xef\xbb\xbf[1]", "application/vnd.api+json"), READ)).body == b"[1]"


async def test_text_is_taken_in_any_charset_and_nothing_may_be_nothing():
    assert (await asked(page("é;1".encode("latin-1"), "text/csv;charset=ISO-8859-1"), READ, expect="text")).body == b"\xe9;1"
    assert (await asked(page(b"", "application/octet-stream", 204), WRITE, expect="nothing")).status == 204
    assert type(await asked(page(b"<html>", "text/html"), WRITE, expect="nothing")) is UnknownOutcomeError


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        (rb'{"a":"\ud800","b":"\ud83d\ude00","c":"\\ud800"}', rb'{"a":"\ufffd","b":"\ud83d\ude00","c":"\\ud800"}'),
        (rb'{"a":NaN,"b":[-Infinity,1],"c":": NaN,"}', rb'{"a":null,"b":[null,1],"c":": NaN,"}'),
        (b'{"a":"M\xfcller"}', '{"a":"M\ufffdller"}'.encode()),
        (b'{"a":1e400,"b":"\\u0000"}', b'{"a":1e400,"b":"\\u0000"}'),
    ],
)
def test_one_value_that_no_json_has_does_not_spoil_a_page(body: bytes, mended: bytes):
    assert well_formed(body) == mended


def test_deep_is_told_from_merely_long():
    assert well_formed(b"[" + b'{"a":"[[[[{{{{\\"","b":[]},' * 1000 + b"1]")


# ---------------------------------------------------------------- once, and only there


def closing_the_second_time(seen: list[str]) -> Answer:
    """A server that keeps the connection and closes it as soon as the next request arrives on it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.method)
        if len(seen) == 2:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        return web.json_response({"calls": len(seen)})

    return answer


async def test_a_read_is_sent_again_when_a_kept_connection_is_closed():
    for endpoint in (READ, POSTED_READ):
        seen: list[str] = []
        door = OpenDoor()
        async with loopback(closing_the_second_time(seen)) as server, calling(server.url, admission=door) as http:
            await http.send(READ, path={"id": "1"}, expect="json")
            reply = await http.send(endpoint, path={"id": "1"}, expect="json")
        assert reply.body == b'{"calls": 3}' and len(seen) == 3
        assert len(door.admitted) == 3, "the first may have arrived, and counts"


async def test_a_read_that_may_be_asked_seldom_is_not_sent_again_at_once():
    """What is asked once a minute would be asked twice in it."""
    seen: list[str] = []
    async with loopback(closing_the_second_time(seen)) as server, calling(server.url) as http:
        await http.send(READ, path={"id": "1"}, expect="json")
        with pytest.raises(UnavailableError):
            await http.send(SELDOM_READ, path={"id": "1"}, expect="json")
    assert seen == ["GET", "GET"]


async def test_a_read_on_a_new_connection_is_not_sent_again():
    async with loopback(raw(b"", then="abort")) as server, calling(server.url) as http:
        with pytest.raises(UnavailableError):
            await http.send(READ, path={"id": "1"}, expect="json")
        assert len(server.calls) == 1


async def test_a_write_is_never_sent_again():
    seen: list[str] = []
    async with loopback(closing_the_second_time(seen)) as server, calling(server.url) as http:
        await http.send(READ, path={"id": "1"}, expect="json")
        with pytest.raises(UnknownOutcomeError):
            await http.send(WRITE, path={"id": "1"}, expect="json")
    assert seen == ["GET", "PUT"]


async def test_a_read_is_not_sent_a_third_time():
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.method)
        if len(seen) > 1:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(30)
        return web.json_response({})

    async with loopback(answer) as server, calling(server.url) as http:
        await http.send(READ, path={"id": "1"}, expect="json")
        with pytest.raises(UnavailableError):
            await http.send(READ, path={"id": "1"}, expect="json")
    assert len(seen) == 3


async def test_nothing_leaves_before_the_limiter_says_so():
    class Closed(OpenDoor):
        async def admit(self, endpoint: Endpoint) -> None:
            await asyncio.Event().wait()

    async with loopback(json_answer({})) as server, calling(server.url, admission=Closed()) as http:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.send(READ, path={"id": "1"}, expect="json"), 0.05)
        assert server.calls == []


# ---------------------------------------------------------------- what is sent, and where


async def test_a_value_stays_in_its_place():
    async with loopback(json_answer({})) as server, calling(f"{server.url}/eu/") as http:
        await http.send(READ, path={"id": "a/../b?c#d é\x00%2F"}, query=[("q", "a&b=c+d é"), ("q", "")], expect="json")
        [call] = server.calls
        assert call.path == "/eu/api/things/a%2F..%2Fb%3Fc%23d%20%C3%A9%00%252F"
        assert call.query == (("q", "a&b=c+d é"), ("q", ""))
        for value in ("", ".", "..", "\ud800"):
            with pytest.raises(RejectedError):
                await http.send(READ, path={"id": value}, expect="json")
        assert len(server.calls) == 1


async def test_only_the_configured_host_is_called():
    async with loopback(json_answer({})) as ours, loopback(json_answer({})) as other, calling(ours.url) as http:
        port = other.url.rpartition(":")[2]
        for path in (f"@127.0.0.1:{port}/", f"//127.0.0.1:{port}/", other.url, f":{port}/"):
            endpoint = Endpoint("X1", "GET", path, calls=1, per=1, reads=True)
            with contextlib.suppress(RejectedError):
                await http.send(endpoint, expect="json")
        assert other.calls == []


async def test_a_put_without_a_body_says_so():
    async with loopback(page(b"", "application/json", 204)) as server, calling(server.url) as http:
        await http.send(WRITE, path={"id": "1"}, expect="nothing")
        await http.send(WRITE, path={"id": "1"}, json=b'{"a":1}', expect="nothing")
        bare, full = server.calls
    assert bare.headers["Content-Length"] == "0" and "Content-Type" not in bare.headers and "Transfer-Encoding" not in bare.headers
    assert (full.headers["Content-Type"], full.body) == ("application/json", b'{"a":1}')
    assert full.headers["Authorization"] == "key-of-the-test" and full.headers["Accept-Encoding"] == "gzip"
    assert "Cookie" not in full.headers


async def test_a_form_is_made_for_the_call():
    def form() -> aiohttp.FormData:
        data = aiohttp.FormData()
        data.add_field("file", b"a;b\r\n", filename="stock.csv", content_type="text/csv")
        return data

    async with loopback(json_answer({}, 201)) as server, calling(server.url) as http:
        await http.send(WRITE, path={"id": "1"}, form=form, expect="json")
        assert server.calls[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")


async def test_no_cookie_is_kept():
    async with loopback(page(b"{}", "application/json", 200, {"Set-Cookie": "a=b"})) as server, calling(server.url) as http:
        await http.send(READ, path={"id": "1"}, expect="json")
        await http.send(READ, path={"id": "1"}, expect="json")
        assert "Cookie" not in server.calls[1].headers


@pytest.mark.parametrize(
    "address",
    [
        "http://asos.mirakl.net",
        "ftp://asos.mirakl.net",
        "asos.mirakl.net",
        "https://",
        "https://user:key@asos.mirakl.net",
        "https://asos.mirakl.net?key=1",
        "https://asos.mirakl.net#x",
        "http://10.0.0.7",
        "http://[::2]",
        "https://[",
        "",
    ],
)
def test_an_address_to_which_no_key_is_sent(address: str):
    with pytest.raises(StartupError) as refused:
        Http(
            target="t",
            base_url=address,
            net=None,  # type: ignore[arg-type]
            clock=StillClock(),
            admission=OpenDoor(),
            metrics=Metrics(),
            headers=dict,
        )
    assert "key@" not in str(refused.value)


# ---------------------------------------------------------------- secrets and people


async def test_a_key_is_in_no_text_of_ours(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    for answer in (raw(b"", then="abort"), json_answer({"message": "bad key"}, 401), page(b"<html>", "text/html")):
        error = await asked(answer, WRITE)
        told = [str(error), repr(error), repr(error.__dict__), repr(error.__cause__)]
        assert not any("key-of-the-test" in text or "127.0.0.1" in text for text in told)
    assert "key-of-the-test" not in caplog.text


def test_a_secret_is_blank_wherever_it_is_printed():
    secret = Secret("s3cr3t")
    assert secret.reveal() == "s3cr3t" and secret and not Secret("")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret]), repr({"k": secret})):  # noqa: UP031
        assert "s3cr3t" not in shown
    for bad in ("a\nb", "a\rb", "a\x00", "é"):
        with pytest.raises(StartupError) as refused:
            Secret(bad)
        assert bad not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "detail", "field"),
    [
        ({"status": 400, "message": "The currency ISO code is mandatory."}, "The currency ISO code is mandatory.", ""),
        ({"message": "Error with field refunds. Please check the field datatype."}, None, "refunds"),
        ({"errors": [{"code": "INVALID", "field": "carrier_code", "message": "unknown"}]}, "INVALID: unknown", "carrier_code"),
        ({"errors": [{"code": "E", "field": "Jo Bloggs", "message": "m"}]}, "E: m", ""),
        ({"errors": "[API] Invalid API key"}, "[API] Invalid API key", ""),
        ({"error": "invalid_request", "error_description": "gone"}, "invalid_request: gone", ""),
        ({"code": "ORDER_INVALID_STATE"}, "ORDER_INVALID_STATE", ""),
        ({"message": "no phone +44 (0)7911 123-456 nor jo.bloggs+x@example.co.uk here"}, "no phone … nor … here", ""),
        ({"message": "x" * 1000}, "x" * 200, ""),
        ({"message": "a\r\nb\x1b[31m\u202ec"}, "a b [31m c", ""),
        ({"customer": {"lastname": "Bloggs"}}, "", ""),
        (["Bloggs"], "", ""),
        ({"errors": []}, "", ""),
        ({"message": {"lastname": "Bloggs"}}, "", ""),
        (None, "", ""),
    ],
)
def test_of_a_refusal_codes_and_words_are_kept(said: object, detail: str | None, field: str):
    told = complaint(msgspec.json.encode(said))
    assert told[1] == field and (detail is None or told[0] == detail)


@pytest.mark.parametrize("body", [b"", b"<html>Jo Bloggs</html>", b"{", b"[" * 10_000, b'{"message": ' + b"9" * 5000 + b"}"])
def test_what_is_no_refusal_we_know_leaves_no_word(body: bytes):
    assert complaint(body) == ("", "")


def test_ids_in_words_are_left_standing():
    assert scrub("order C00123456789-A of gid://shopify/Order/5123456789012") == "order C00123456789-A of gid://shopify/Order/5123456789012"


# ---------------------------------------------------------------- a pause


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("2.5", 2.5),
        ("0", 1.0),
        ("-5", 60.0),
        ("1000000000", 900.0),
        ("9" * 400, 60.0),
        ("soon", 60.0),
        ("", 60.0),
        ("٣", 60.0),
        ("nan", 60.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 1.0),
        ("Thu, 31 Dec 9999 23:59:59 GMT", 900.0),
        ("Thu, 99 Foo 2026", 60.0),
    ],
)
async def test_how_long_a_429_holds_the_endpoint(said: str, seconds: float):
    assert retry_after({"Retry-After": said}, NOW) == seconds


def test_a_date_in_a_429_is_read_by_their_own_clock():
    theirs = datetime(2026, 8, 13, 11, 0, tzinfo=UTC)
    headers = {"Retry-After": format_datetime(theirs + timedelta(seconds=30), usegmt=True), "Date": format_datetime(theirs, usegmt=True)}
    assert retry_after(headers, NOW) == 30.0


async def test_a_429_reaches_the_limiter():
    door = OpenDoor()
    error = await asked(json_answer({"message": "slow"}, 429, {"Retry-After": "7"}), WRITE, admission=door)
    assert isinstance(error, ThrottledError) and error.retry_after == 7.0 and door.held == [("W1", 7.0)]


# ---------------------------------------------------------------- what is counted


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_answer({}), "ok"),
        (json_answer({}, 429), "throttled"),
        (json_answer({}, 404), "rejected"),
        (json_answer({}, 401), "auth"),
        (json_answer({}, 500), "unknown"),
    ],
)
async def test_each_call_is_counted_once_by_outcome(answer: Answer, outcome: str):
    metrics = Metrics()
    await asked(answer, WRITE, metrics=metrics)
    counted = [
        sample
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "crossdock_outbound_requests_total" and sample.value
    ]
    assert [(s.labels["op"], s.labels["outcome"], s.value) for s in counted] == [("W1", outcome, 1.0)]
