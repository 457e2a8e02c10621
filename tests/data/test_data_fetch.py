"""Fetching from a server of this machine: check, resume, rename; and the catalogue."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bptui.data import DataError
from bptui.data import fetch as fetching
from bptui.data.catalogue import describe, entries, render_entries, render_look

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``breaks`` cuts that many answers in the middle; ``ranges`` are the Range headers it saw."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.breaks = 0
        self.resumes = True
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        content = self.server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.resumes else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    file = fetching.File("rows", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    server.files["rows.gz"] = gzip.compress(CONTENT, 0)
    monkeypatch.setitem(fetching.REMOTES, "mnist", fetching.Remote((server.url,), (file,)))
    monkeypatch.setenv("no_proxy", "*")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_fetched_checked_and_not_fetched_again(tmp_path: Path, server: Server) -> None:
    told: list[tuple[str, int, int]] = []
    folder = fetching.fetch("mnist", into=tmp_path, progress=lambda *args: told.append(args))
    assert folder == tmp_path / "mnist" and names(tmp_path) == ["rows.gz"]
    assert gzip.decompress((folder / "rows.gz").read_bytes()) == CONTENT
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("rows.gz", len(server.files["rows.gz"]), len(server.files["rows.gz"]))
    fetching.fetch("mnist", into=tmp_path)
    assert len(server.ranges) == 1


def test_a_broken_connection_is_resumed(tmp_path: Path, server: Server) -> None:
    server.breaks = 1
    with pytest.raises(DataError, match="bytes are kept, the next try goes on from there"):
        fetching.fetch("mnist", into=tmp_path)
    kept = (tmp_path / "mnist" / "rows.gz.part").stat().st_size
    assert 0 < kept < len(server.files["rows.gz"]) and names(tmp_path) == ["rows.gz.part"]
    fetching.fetch("mnist", into=tmp_path)
    assert server.ranges == [None, f"bytes={kept}-"] and names(tmp_path) == ["rows.gz"]


def test_a_server_that_cannot_resume_starts_over(tmp_path: Path, server: Server) -> None:
    server.breaks, server.resumes = 1, False
    with pytest.raises(DataError):
        fetching.fetch("mnist", into=tmp_path)
    fetching.fetch("mnist", into=tmp_path)
    assert gzip.decompress((tmp_path / "mnist" / "rows.gz").read_bytes()) == CONTENT


def test_a_part_of_something_else_is_replaced(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mnist").mkdir()
    for junk in (b"junk", b"x" * (2 * len(CONTENT))):
        (tmp_path / "mnist" / "rows.gz.part").write_bytes(junk)
        (tmp_path / "mnist" / "rows.gz").write_bytes(b"damaged")
        fetching.fetch("mnist", into=tmp_path)
        assert gzip.decompress((tmp_path / "mnist" / "rows.gz").read_bytes()) == CONTENT
        assert names(tmp_path) == ["rows.gz"]


def test_wrong_content_is_thrown_away(tmp_path: Path, server: Server) -> None:
    server.files["rows.gz"] = gzip.compress(CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match="wrong checksum, thrown away"):
        fetching.fetch("mnist", into=tmp_path)
    assert names(tmp_path) == []


def test_the_next_address_is_tried(tmp_path: Path, server: Server) -> None:
    fetching.fetch("mnist", into=tmp_path, urls=[server.url + "nowhere", server.url])
    assert names(tmp_path) == ["rows.gz"]
    with pytest.raises(DataError, match="HTTP 404"):
        fetching.fetch("mnist", into=tmp_path / "other", urls=[server.url + "nowhere"])


def test_clear_words_without_a_network_a_name_or_a_place(tmp_path: Path, server: Server) -> None:
    port = server.server_address[1]
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"rows\.gz could not be fetched \(127\.0\.0\.1:\d+: connection refused\)"):
        fetching.fetch("mnist", into=tmp_path, urls=[f"http://127.0.0.1:{port}/"])
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        fetching.fetch("mnits", into=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        fetching.fetch("mnist", into=tmp_path / "file")


def test_a_full_disk_is_told_and_the_target_untouched(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(DataError, match="no space left on device"):
        fetching.fetch("mnist", into=tmp_path)
    assert names(tmp_path) == []


def test_the_catalogue_says_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BPTUI_DATA", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path))
    listed = {entry.name: entry for entry in entries()}
    assert listed["mnist"].where is None and listed["mnist"].how == "bptui datasets fetch mnist"
    assert listed["spiral"].where == "generated"
    where = listed["digits"].where
    assert where is not None and Path(where, "digits.csv.gz").is_file()
    assert "not here: bptui datasets fetch fashion-mnist" in render_entries(list(listed.values()))


def test_a_first_look_shows_columns_ranges_and_classes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("size,colour,kind\n1,red,a\n,blue,b\n4,red,a\n9,red,a\n")
    look = describe(str(path))
    assert look.classes == (("a", 3), ("b", 1)) and look.task == "classification"
    size = look.columns[0]
    assert (size.name, size.minimum, size.maximum, size.missing, size.distinct) == ("size", 1.0, 9.0, 1, 3)
    text = render_look(look)
    assert "comma-separated, a header" in text and "colour=red" in text and "75.0%" in text
    assert "8×8" in render_look(describe("digits"))
    with pytest.raises(DataError):
        describe("digitz")
