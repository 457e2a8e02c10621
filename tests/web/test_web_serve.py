"""``bptui serve``: nothing without the token; with it the whole screen, in a real browser."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="bptui[serve] is not installed")
pytest.importorskip("textual_serve", reason="bptui[serve] is not installed")

import chromium  # noqa: E402

from bptui.web.server import ServeError, TokenServer, listen  # noqa: E402

SERVE = [sys.executable, "-m", "bptui", "serve"]


@asynccontextmanager
async def served(home: Path, *words: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The address that a running ``bptui serve`` has printed, and its process."""
    process = await asyncio.create_subprocess_exec(
        *SERVE, *words, "--port", "0", stdout=subprocess.PIPE, env={**os.environ, "BPTUI_HOME": str(home)}
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", line)
        assert found, line
        yield found[0], process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)


async def test_nothing_comes_without_the_token(tmp_path: Path) -> None:
    async with served(tmp_path) as (address, _), aiohttp.ClientSession() as session:
        root, token = re.fullmatch(r"(http://[^/]+/)([\w-]+)/", address).groups()  # type: ignore[union-attr]
        wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
        for path in ("", "ws", "static/js/textual.js", "download/x", f"{wrong}/", f"{wrong}/ws", f"?token={token}",
                     "../", "%2e%2e/", "x" * 4000, "é"):  # fmt: skip
            async with session.get(root + path) as answer:
                assert answer.status == 403, path
                assert token not in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{root}ws?width=80&height=24")
        assert refused.value.status == 403
        async with session.get(address) as answer:
            assert answer.status == 200
            page = await answer.text()
        assert f"/{token}/ws" in page and "googleapis" not in page
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir()), "no run without a page"


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Origin": "null"}], ids=str
)
async def test_no_page_of_another_site_gets_in(tmp_path: Path, headers: dict[str, str]) -> None:
    async with served(tmp_path) as (address, _), aiohttp.ClientSession() as session:
        async with session.get(address, headers=headers) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address + "ws", headers=headers)
        assert refused.value.status == 403


async def test_it_listens_on_this_machine_alone_and_every_token_is_another() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ServeError, match=f"port {listener.getsockname()[1]}: .*--port 0 takes a free one"):
            listen(listener.getsockname()[1])
    assert len({TokenServer(lambda: "true", 1).token for _ in range(50)}) == 50
    with pytest.raises(ServeError, match="65535"):
        listen(70000)


@pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium here (apt install chromium)")
async def test_a_browser_trains_and_comes_back_to_its_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with served(home, "xor", "--pace", "20", "--set", "stop.epochs=5000") as (address, _):
        async with chromium.page(address, tmp_path / "one") as page:
            await page.until("READY")
            await page.until("1 Model")
            assert page.status == 200
            await page.focus()
            await page.press(" ")
            await page.until("RUNNING")
            await page.until(lambda: (found := re.search(r"step (\d+)", page.text)) and int(found[1]) > 5)
            picture = await page.picture()
            own = address.rsplit("/", 2)[0]
            assert [url for url in page.requested if not url.startswith((own, "data:", "about:", "chrome"))] == []
            await page.press("?")
            await page.until("esc closes")
            await page.press("Escape")
        assert _colours(picture) > 8, "the screen is seen in the page"
        async with chromium.page(address, tmp_path / "two") as page:
            await page.until("RUNNING")
            await page.focus()
            await page.press("q")
            await page.until("What shall become of it?")
            await page.press("Enter")
        assert len(list((home / "runs").iterdir())) == 1


def _colours(picture: bytes) -> int:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        return len(image.convert("RGB").getcolors(1 << 24) or ())
