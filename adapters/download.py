"""Files that a marketplace has put somewhere for us, on a host of its choice: read line by line, whatever their size, and without our key.

Their address is all that protects them: it is never shown, in no error and no log.
"""

from collections.abc import AsyncGenerator

import aiohttp
from yarl import URL

from engine.errors import RejectedError, UnavailableError
from engine.ports import Net

LONGEST_LINE = 1024 * 1024  # bytes; one order is a thousand times shorter
LONGEST_FILE = 2 * 1024 * 1024 * 1024  # bytes; ten million orders
_CHUNK = 64 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=1800.0, connect=5.0, sock_read=30.0)  # seconds


def mended(line: bytes) -> bytes:
    """What is not UTF-8 becomes U+FFFD, as in an answer (http.well_formed): one broken name is no reason to read none of the others."""
    return line if line.isascii() else line.decode(errors="replace").encode()


class Download:
    """`home` is the base URL of the marketplace itself: there and there alone a file may lie unencrypted, as a sandbox's does."""

    def __init__(self, *, target: str, home: str, net: Net) -> None:
        self._target, self._home, self._net = target, URL(home).origin(), net

    async def lines(self, address: str) -> AsyncGenerator[bytes, None]:
        """Each line that holds something, as it arrives. Raises AdapterError; what was yielded before stands.

        Whoever stops early closes the iterator (contextlib.aclosing), and with it the connection.
        """
        url = self._checked(address)
        try:
            async with (
                self._net.session(
                    timeout=_TIMEOUT,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"User-Agent": "crossdock", "Accept-Encoding": "identity"},
                    auto_decompress=False,
                ) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status != 200 or response.headers.get("Content-Encoding", "identity") != "identity":
                    raise UnavailableError("a file is not given out", target=self._target, status=response.status)
                rest, read = b"", 0
                async for chunk in response.content.iter_chunked(_CHUNK):
                    read += len(chunk)
                    *whole, rest = (rest + chunk).split(b"\n")
                    if read > LONGEST_FILE or len(rest) > LONGEST_LINE:
                        raise RejectedError("a file is longer than any honest one", target=self._target)
                    for line in whole:
                        if line.strip():
                            yield mended(line)
                if rest.strip():
                    yield mended(rest)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"a file was cut short ({type(error).__name__})", target=self._target) from None

    def _checked(self, address: str) -> URL:
        try:
            url = URL(address, encoded=True)
            if url.host and (url.scheme == "https" or url.origin() == self._home):
                return url
        except ValueError:
            pass
        raise RejectedError("a file lies where we do not go", target=self._target)
