"""Dispatch by scheme, local paths, what fsspec serves, and secrets."""

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import fsspec
import pytest

from decant import sources
from decant.runtime import identity
from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest
from decant.runtime.log_lines import logged_by
from decant.sources._cache import cached
from tests.damages import DAMAGES, Damage
from tests.errors import raises


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a #1.csv"
    file.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    digest = sha256(b"x")
    assert sources.fetch("a #1.csv") == Path("a #1.csv")
    assert sources.fetch(f"file://{tmp_path}/a%20%231.csv#sha256={digest}") == file
    assert sources.pin("a #1.csv") == f"sha256:{digest}"
    assert sources.pin(str(tmp_path)) == f"sha256:{content_digest(tmp_path)}"
    assert sources.is_local("a.csv") and not sources.is_local("s3://bucket/a.csv")


def test_local_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with raises("file-missing", "'none.csv'") as caught:
        sources.pin("none.csv")
    assert str(tmp_path) in caught.value.hint


def test_what_is_neither_file_nor_folder_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a device has no end."""
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with raises("file-unreadable", str(path)):
            sources.pin(str(path))
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with raises("file-missing", "loop.csv"):
        sources.pin(str(tmp_path / "loop.csv"))


def test_data_that_an_experiments_copy_lacks_is_found_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpxyz"
    copy.mkdir(parents=True)
    (tmp_path / "mine.csv").write_text("text,label\n")
    monkeypatch.setattr(identity, "PROJECT", copy)
    monkeypatch.chdir(copy)
    with raises("file-missing", "'mine.csv'", str(tmp_path), "--copy-paths mine.csv"):
        sources.pin("mine.csv")


def test_wrong_digest_of_a_local_file(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"x")
    with raises("sha256-mismatch", "0" * 64, sha256(b"x")):
        sources.fetch(f"file://{file}#sha256={'0' * 64}")


def test_remote_file_is_fetched_once_and_its_digest_remembered() -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/once/a.csv", b"first")
    assert sources.pin("memory://once/a.csv") == f"sha256:{sha256(b'first')}"
    filesystem.pipe("/once/a.csv", b"second")
    assert sources.fetch("memory://once/a.csv").read_bytes() == b"first"
    assert sources.pin("memory://once/a.csv") == f"sha256:{sha256(b'first')}"


def test_remote_file_with_a_digest() -> None:
    fsspec.filesystem("memory").pipe("/pinned/a.csv", b"rows")
    good, bad = sha256(b"rows"), "0" * 64
    assert sources.fetch(f"memory://pinned/a.csv#sha256={good}").name == "a.csv"
    with raises("sha256-mismatch", bad, good):
        sources.fetch(f"memory://pinned/a.csv#sha256={bad}")


def test_remote_folder() -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/models/small/config.json": b"{}", "/models/small/a/b.txt": b"b"})
    folder = sources.fetch("memory://models/small")
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "a" / "b.txt").read_bytes() == b"b"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    (tmp_path / "served.csv").write_bytes(b"text\n")
    handler = partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_http(server: str) -> None:
    file = sources.fetch(f"{server}/served.csv?version=secret")
    assert file.name == "served.csv" and file.read_bytes() == b"text\n"
    with raises("source-missing", "none.csv") as caught:
        sources.fetch(f"{server}/none.csv?version=secret")
    assert "secret" not in str(caught.value)


def test_refused_connection_is_one_message() -> None:
    with raises("source-missing", "127.0.0.1:9/a.csv") as caught:
        sources.fetch("http://127.0.0.1:9/a.csv?version=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:secret@host/a.csv",
        "https://me:se@cr/secret@host/a.csv",
        "https://secret@host/a.csv",
        "s3://me:secret@host/a.csv",
        "dvc://me:secret@host/a.csv",
        "https://host/a.csv?X-Amz-Signature=secret",
        "https://host/a.csv?sv=1&se=2&sp=r&sig=secret",
        "https://host/a.csv#token=secret",
    ],
)
def test_secrets_are_refused_and_not_shown(uri: str) -> None:
    for use in (sources.fetch, sources.pin):
        with raises("secret-exposed", "host/a.csv") as caught:
            use(uri)
        assert "secret" not in caught.value.problem


def test_unknown_scheme() -> None:
    with raises("scheme-unknown", "'foo://'"):
        sources.fetch("foo://a/b.csv")


@pytest.mark.parametrize("fragment", ["#sha256=12", "#md5=" + "0" * 32, "#x"])
def test_fragment_that_is_no_pin(fragment: str) -> None:
    with raises("uri-invalid", "https://host/a.csv") as caught:
        sources.pin(f"https://host/a.csv{fragment}")
    assert "#x" not in str(caught.value)


def test_cache_entry_is_made_once_by_many() -> None:
    made: list[int] = []

    def fill(folder: Path) -> str:
        made.append(1)
        (folder / "a").write_text("x")
        return "pin"

    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: cached("kind", "key", fill), range(16)))
    assert len(made) == 1
    assert {entry.pin for entry in entries} == {"pin"}


def test_cache_entry_that_fails_is_not_there(cache: Path) -> None:
    def fail(folder: Path) -> str:
        (folder / "half").write_text("x")
        raise UserError("broken", code="source-unreachable")

    with raises("source-unreachable", "broken"):
        cached("kind", "key", fail)
    assert [path.name for path in (cache / "kind").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["content/a.csv", "pin", "sha256"])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_damaged_entry_is_reported_and_fetched_again(
    part: str, damage: Damage, pinned: bool, cache: Path
) -> None:
    rows = b"text,label\n" + b"a,b\n" * 400
    fsspec.filesystem("memory").pipe("/damaged/a.csv", rows)
    uri = "memory://damaged/a.csv" + (f"#sha256={sha256(rows)}" if pinned else "")
    entry = sources.fetch(uri).parents[1]
    damage(entry / part)
    assert sources.fetch_cached(uri) is None
    lines: list[str] = []
    with logged_by(lines.append):
        assert sources.fetch(uri).read_bytes() == rows
        assert sources.pin(uri) == f"sha256:{sha256(rows)}"
    assert len(lines) == 1 and entry.name in lines[0] and "fetched again" in lines[0]
    assert [path.name for path in entry.parent.iterdir() if path.suffix != ".lock"] == [entry.name]


def test_a_damaged_entry_whose_source_is_gone_stays_refused(cache: Path) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/gone/a.csv", b"rows")
    file = sources.fetch("memory://gone/a.csv")
    file.write_bytes(b"ro")
    filesystem.rm("/gone/a.csv")
    for _ in range(2):
        with raises("source-missing", "gone/a.csv"):
            sources.fetch("memory://gone/a.csv")
    assert file.read_bytes() == b"ro"  # nothing that a person could still need is removed


def test_an_entry_is_read_whole_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe("/read/a.csv", b"rows")
    sources.fetch("memory://read/a.csv")
    reads: list[Path] = []

    def counted(path: Path) -> str:
        reads.append(path)
        return content_digest(path)

    monkeypatch.setattr("decant.sources._cache.content_digest", counted)
    for _ in range(3):
        sources.fetch("memory://read/a.csv")
    assert len(reads) == 1


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "file"))
    fsspec.filesystem("memory").pipe("/unwritable/a.csv", b"x")
    with raises("path-unwritable", "DECANT_CACHE"):
        sources.fetch("memory://unwritable/a.csv")
