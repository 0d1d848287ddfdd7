"""A door before the page, since viser itself lets everybody in, other sites' pages in the same browser too.

viser stays on a port of loopback that nobody is told; this passes on the bytes of connections whose first request is
allowed. On loopback that is any request of a page of ours; elsewhere it must bear the token, by link or by cookie.
"""

import asyncio
import hmac
import re
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from ..sim.errors import DamagelandError

HEAD_BYTES = 64 * 1024
HEAD_S = 10.0
COOKIE = "damageland"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PAGE = "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n{more}\r\n{text}\n"


class Gate:
    """Listens on a host and port, and leads to a port of loopback."""

    def __init__(self, host: str, port: int, inner: int, token: str | None):
        self._token, self._inner = token, inner
        self._loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
        self._failed: OSError | None = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(host, port, ready), daemon=True)
        self._thread.start()
        ready.wait(10)
        if self._failed is not None:
            raise DamagelandError(f"--host {host} --port {port}: cannot listen there ({self._failed.strerror}).")
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}" + ("" if token is None else f"/?token={token}")

    def close(self) -> None:
        """Stop listening, and end what passes."""
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=2)

    def _run(self, host: str, port: int, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(host, port, ready))
        except OSError as error:
            self._failed = error
            ready.set()
        finally:
            self._loop.close()

    async def _serve(self, host: str, port: int, ready: threading.Event) -> None:
        async with await asyncio.start_server(self._pass, host, port, limit=HEAD_BYTES):
            ready.set()
            await self._stop.wait()
            passing = asyncio.all_tasks() - {asyncio.current_task()}
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            answer = judge(head.decode("latin-1"), self._token)
            if answer is not None:
                writer.write(answer.encode())
                await writer.drain()
            else:
                await self._lead(head, reader, writer)
        with suppress(OSError):
            writer.close()

    async def _lead(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self._inner)
        to.write(head)
        ways = [asyncio.create_task(_pump(reader, to)), asyncio.create_task(_pump(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            to.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(HEAD_BYTES):
            writer.write(data)
            await writer.drain()


def judge(head: str, token: str | None) -> str | None:
    """What to answer to a request's head; None lets it in."""
    lines = head.split("\r\n")
    said = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    origin = urlsplit(said.get("origin", "")).netloc
    if origin and origin != said.get("host", ""):
        return PAGE.format(status="403 Forbidden", more="", text="Pages of other sites have no business here.")
    if token is None:  # a name that an attacker's server gave to loopback would pass the check of the origin
        if urlsplit(f"//{said.get('host', '')}").hostname in LOOPBACK:
            return None
        return PAGE.format(status="403 Forbidden", more="", text="Open the link that the studio printed.")
    target = ([*lines[0].split(" "), "", ""])[1]
    held = re.search(rf"(?:^|[;\s]){COOKIE}=([\w-]+)", said.get("cookie", ""))
    if held is not None and hmac.compare_digest(held[1], token):
        return None
    given = parse_qs(urlsplit(target).query).get("token", [""])[0]
    if hmac.compare_digest(given.encode(), token.encode()):
        more = f"Set-Cookie: {COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict\r\nLocation: /\r\n"
        return PAGE.format(status="303 See Other", more=more, text="Welcome.")
    return PAGE.format(
        status="403 Forbidden", more="", text="This studio asks for a token: open the whole link that it printed."
    )
