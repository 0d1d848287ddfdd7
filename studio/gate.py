"""A door before the page where it listens elsewhere than on loopback: in only with the token, by link or by cookie.

viser itself lets everybody in. So it stays on loopback, and this passes on the bytes of connections whose first request
bears the token.
"""

import asyncio
import hmac
import re
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES = 64 * 1024
HEAD_S = 10.0
COOKIE = "damageland"
PAGE = "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n{more}\r\n{text}\n"


class Gate:
    """Listens on a host and port, and leads to a port of loopback."""

    def __init__(self, host: str, port: int, inner: int, token: str):
        self._token, self._inner, self._loop = token, inner, asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(host, port, ready), daemon=True)
        self._thread.start()
        ready.wait(10)
        self.url = f"http://{host}:{port}/?token={token}"

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)

    def _run(self, host: str, port: int, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, host, port, limit=HEAD_BYTES))
        ready.set()
        self._loop.run_forever()
        server.close()

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
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        to.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(HEAD_BYTES):
            writer.write(data)
            await writer.drain()


def judge(head: str, token: str) -> str | None:
    """What to answer to a request's head; None lets it in."""
    lines = head.split("\r\n")
    target = ([*lines[0].split(" "), "", ""])[1]
    cookies = " ".join(line.partition(":")[2] for line in lines[1:] if line.lower().startswith("cookie:"))
    held = re.search(rf"(?:^|[;\s]){COOKIE}=([\w-]+)", cookies)
    if held is not None and hmac.compare_digest(held[1], token):
        return None
    given = parse_qs(urlsplit(target).query).get("token", [""])[0]
    if hmac.compare_digest(given.encode(), token.encode()):
        more = f"Set-Cookie: {COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict\r\nLocation: /\r\n"
        return PAGE.format(status="303 See Other", more=more, text="Welcome.")
    return PAGE.format(
        status="403 Forbidden", more="", text="This studio asks for a token: open the whole link that it printed."
    )
