"""A real headless Chromium, driven over its debugging protocol: what it gets by websocket is drawn by pyte."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from terminal_emulation import Emulation

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One tab. ``lines`` is the screen as its terminal was told to draw it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._next = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.emulation = Emulation(90, 300)  # larger than any page here, so that nothing wraps
        self.requested: list[str] = []
        self.status = 0
        self._reader = asyncio.create_task(self._read())

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._next += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._next] = answer
        await self._socket.send_json({"id": self._next, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, 20)

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said.get("result", said.get("error", {})))
            else:
                self._happened(said["method"], said["params"])

    def _happened(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.webSocketFrameReceived":
            response = parameters["response"]
            if response["opcode"] == 2:
                self.emulation.feed(base64.b64decode(response["payloadData"]))
        elif method == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])
        elif method == "Network.responseReceived" and parameters["type"] == "Document":
            self.status = parameters["response"]["status"]

    @property
    def text(self) -> str:
        return "\n".join(self.emulation.lines)

    async def until(self, what: str | Callable[[], object], seconds: float = 40.0) -> None:
        holds = (lambda: what in self.text) if isinstance(what, str) else what
        for _ in range(int(seconds / 0.05)):
            if holds():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what!r} never came; the screen:\n{self.text}")

    async def press(self, key: str) -> None:
        """A character, or ``Enter`` and ``Escape``."""
        codes = {"Enter": (13, "\r"), "Escape": (27, "")}
        code, text = codes.get(key, (ord(key.upper()[0]), key))
        event = {"key": key, "text": text, "windowsVirtualKeyCode": code}
        await self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def focus(self) -> None:
        """Keys go where the terminal's own input element is."""
        await self.send("Page.bringToFront")
        await self.evaluate("document.querySelector('textarea').focus()")

    async def evaluate(self, expression: str) -> Any:
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer.get("result", {}).get("value")

    async def picture(self) -> bytes:
        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()


@asynccontextmanager
async def page(url: str, folder: Path) -> AsyncIterator[Page]:
    """``url`` in a fresh browser that keeps its files in ``folder``."""
    assert PROGRAM is not None
    browser = subprocess.Popen(
        [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
         "--remote-debugging-port=0", f"--user-data-dir={folder}", "--window-size=1500,900", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(folder, browser)
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            tab = Page(await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
            try:
                for domain in ("Network", "Page", "Runtime"):
                    await tab.send(f"{domain}.enable")
                await tab.send("Page.navigate", url=url)
                yield tab
            finally:
                await tab.close()
    finally:
        browser.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            browser.wait(10)
        if browser.poll() is None:
            browser.kill()
            browser.wait()


async def _port(folder: Path, browser: subprocess.Popen[bytes]) -> int:
    for _ in range(1200):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((folder / "DevToolsActivePort").read_text().splitlines()[0])
        assert browser.poll() is None, "Chromium has ended"
        await asyncio.sleep(0.05)
    raise AssertionError("Chromium did not come up")
