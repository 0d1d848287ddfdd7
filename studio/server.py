"""The studio's server: who may connect, one page per browser, a worker that is ready for the next."""

import io
import secrets
import socket
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path

import viser

from ..sim.errors import DamagelandError
from .choices import Choices, read_choices
from .gate import LOOPBACK, Gate
from .keeper import Keeper
from .page import Page

UNSAVED = ".unsaved"
KEY = "damageland-studio"
"""Under this name a browser remembers who it is."""


class _Server(viser.ViserServer):
    """Never shares itself with the world: viser would open a tunnel for whoever asks."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuse."""
        return None


class Studio:
    """The server and the pages of all browsers."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 8080, first: Choices | None = None):
        self.folder, self._first = folder, first or Choices()
        _require_free(host, port)
        self._pages: dict[int, Page] = {}
        self._lock, self._spare = threading.Lock(), Keeper()
        token = None if host in LOOPBACK else secrets.token_urlsafe(16)
        try:
            with redirect_stdout(io.StringIO()):  # viser's own notice would name a port that nobody should use
                self._server = _Server("127.0.0.1", _free_port(), "damageland studio", verbose=False)
            self._gate = Gate(host, port, self._server.get_port(), token)
        except BaseException:
            self._spare.close()
            raise
        self.url = self._gate.url
        self._server.on_client_connect(self._connect)
        self._server.on_client_disconnect(self._disconnect)

    def _connect(self, client: viser.ClientHandle) -> None:
        key = _key_of(client)
        unsaved = self.folder / UNSAVED / f"{key}.json"
        unsaved.parent.mkdir(parents=True, exist_ok=True)
        first = self._first
        with suppress(DamagelandError):  # nothing there, or of another version: begin afresh
            first = read_choices(unsaved)
        with self._lock:
            keeper, self._spare = self._spare, Keeper()
        page = Page(client, self.folder, unsaved, first, keeper)
        with self._lock:
            self._pages[client.client_id] = page
        if client.client_id not in self._server.get_clients():  # gone meanwhile
            self._disconnect(client)

    def _disconnect(self, client: viser.ClientHandle) -> None:
        with self._lock:
            page = self._pages.pop(client.client_id, None)
        if page is not None:
            threading.Thread(target=page.close).start()  # the event loop must not wait for a process

    def run(self) -> None:
        """Serve until interrupted."""
        self._server.sleep_forever()

    def close(self) -> None:
        """End the server and all workers."""
        self._gate.close()
        self._server.stop()
        with self._lock:
            pages, self._pages = list(self._pages.values()), {}
        for page in pages:
            page.close()
        self._spare.close()


def _key_of(client: viser.ClientHandle) -> str:
    """Who a browser is, by its own storage; a new one is given a name."""
    key = None
    with suppress(RuntimeError, TimeoutError):
        key = client.local_storage.get_item(KEY, timeout=3.0)
    if key is None or len(key) != 16 or not set(key) <= set("0123456789abcdef"):
        key = secrets.token_hex(8)
        with suppress(RuntimeError):
            client.local_storage.set_item(KEY, key)
    return key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _require_free(host: str, port: int) -> None:
    """Refuse a port that is taken: viser would silently take the next one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise DamagelandError(
                f"--host {host} --port {port}: cannot listen there ({error.strerror}). Is a studio open already? "
                "Close it, or name another --port."
            ) from None
