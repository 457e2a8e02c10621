"""textual-serve behind a token: each page is a face of its own, a process that speaks over a websocket.

Everything lies below a path that nobody can guess, so no cookie is needed (cookies of 127.0.0.1 go to every port of
it), and the page loads nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from textual_serve.server import Server

HOST = "127.0.0.1"
_FOREIGN_FONT = re.compile(r"<link\s[^>]*fonts\.googleapis\.com[^>]*>")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServeError(ValueError):
    """The text is one line."""


def listen(port: int) -> socket.socket:
    """A listening socket of this machine alone; 0 takes a free port."""
    if not 0 <= port <= 65535:
        raise ServeError(f"port {port}: expected a number from 0 to 65535")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ServeError(f"port {port}: {error.strerror}; --port 0 takes a free one") from None


class TokenServer(Server):
    """Serves ``command()``, asked for each page, to whoever knows the address."""

    def __init__(self, command: Callable[[], str], port: int, token: str | None = None) -> None:
        super().__init__("bptui", host=HOST, port=port, title="bptui", public_url=f"http://{HOST}:{port}")
        self._command = command
        self.token = token or secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"{self.public_url}/{self.token}/"

    async def _make_app(self) -> web.Application:
        inner = await super()._make_app()
        outer = web.Application(middlewares=[self._guard])
        outer.add_subapp(f"/{self.token}", inner)
        return outer

    def _let_in(self, request: web.Request) -> bool:
        given = request.path.split("/")[1]
        knows = hmac.compare_digest(given.encode(errors="replace"), self.token.encode())
        # A page of another site can neither reach this one under a name of its own nor open its websocket.
        hosts = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        origin = request.headers.get("Origin")
        return knows and request.host in hosts and (origin is None or origin in [f"http://{host}" for host in hosts])

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._let_in(request):
            return web.Response(status=403, text="bptui: open the whole address that bptui serve has printed\n")
        response = await handler(request)
        if not response.prepared:
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Frame-Options"] = "DENY"
            response.headers["Content-Security-Policy"] = (
                "default-src 'self'; style-src 'self' 'unsafe-inline'; "
                "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; "
                f"img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://{request.host}; "
                "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
            )
        return response

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        # The page's own links then have the name (127.0.0.1 or localhost) under which it was opened.
        self.public_url = f"http://{request.host}"
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        font = (
            "<style>@font-face { font-family: 'Roboto Mono'; "
            f"src: url('/{self.token}/static/fonts/RobotoMono-VariableFont_wght.ttf'); }}</style>"
        )
        page.text = _FOREIGN_FONT.sub(font, page.text or "")
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        self.command = self._command()
        return await super().handle_websocket(request)

    async def on_startup(self, app: web.Application) -> None:
        """Nothing: the address is printed by the command."""

    def run(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM; training goes on."""
        import asyncio

        loop = asyncio.new_event_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_exit)
        web.run_app(
            self._make_app(), sock=listener, handle_signals=False, loop=loop, print=lambda *words: None,
            access_log=None, shutdown_timeout=3.0,
        )  # fmt: skip


def environment_for_children() -> None:
    """What the pages' processes inherit: a terminal of many colours that is nobody's tmux."""
    for name in ("TMUX", "STY", "NO_COLOR", "KITTY_WINDOW_ID", "WT_SESSION", "COLORFGBG"):
        os.environ.pop(name, None)
    os.environ["TERM"], os.environ["COLORTERM"] = "xterm-256color", "truecolor"
