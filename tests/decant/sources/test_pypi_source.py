"""pypi:// sources, with pip itself working offline on a wheel made here."""

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from decant import sources
from decant.runtime.log_lines import logged_by
from tests.errors import raises

WHEEL = "tinydata-1.0-py3-none-any.whl"
METADATA = {
    "tinydata-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n",
    "tinydata-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    "tinydata-1.0.dist-info/RECORD": "",
}
FILES = {
    "tinydata/__init__.py": "raise SystemExit('imported')",
    "tinydata/rows.csv": "text,label\n",
    "tinydata/model/config.json": "{}",
    "tinydata/model/deep/part.txt": "part",
    "tinydata/model-old/config.json": "old",
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip uses as its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(index: Path, extra: dict[str, str] | None = None) -> str:
    """Write the wheel; returns its sha256."""
    with zipfile.ZipFile(index / WHEEL, "w") as archive:
        for name, content in {**FILES, **METADATA, **(extra or {})}.items():
            archive.writestr(name, content)
    return hashlib.sha256((index / WHEEL).read_bytes()).hexdigest()


def test_file_and_folder_are_extracted_alone_and_only_once(index: Path) -> None:
    digest = make_wheel(index)
    file_uri = f"pypi://tinydata==1.0/tinydata/rows.csv#sha256={digest}"
    folder_uri = f"pypi://tinydata==1.0/tinydata/model/#sha256={digest}"
    file, folder = sources.fetch(file_uri), sources.fetch(folder_uri)
    assert file.read_text() == "text,label\n"
    assert [path.name for path in file.parent.iterdir()] == ["rows.csv"]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"config.json", "deep/part.txt"}
    (index / WHEEL).unlink()  # pip would fail now
    assert sources.fetch(file_uri) == file
    assert sources.pin(file_uri) == f"sha256:{digest}"


def test_a_damaged_copy_is_fetched_again(index: Path) -> None:
    digest = make_wheel(index)
    uri = f"pypi://tinydata==1.0/tinydata/model#sha256={digest}"
    folder = sources.fetch(uri)
    (folder / "deep" / "part.txt").write_text("pa")
    lines: list[str] = []
    with logged_by(lines.append):
        assert (sources.fetch(uri) / "deep" / "part.txt").read_text() == "part"
    assert len(lines) == 1 and "tinydata-1.0" in lines[0]
    (folder / "config.json").unlink()
    assert (sources.fetch(uri) / "config.json").read_text() == "{}"


def test_what_is_not_cached_yet_is_not_downloaded(index: Path, cache: Path) -> None:
    uri = f"pypi://tinydata==1.0/tinydata/rows.csv#sha256={make_wheel(index)}"
    assert sources.fetch_cached(uri) is None
    assert not cache.exists()
    file = sources.fetch(uri)
    assert sources.fetch_cached(uri) == file
    assert sources.fetch_cached(str(index)) == index  # a local path needs no download


def test_pin_in_the_uri_costs_no_download(cache: Path) -> None:
    assert sources.pin(f"pypi://no-such-thing==1.0/a.csv#sha256={'a' * 64}") == f"sha256:{'a' * 64}"
    assert not cache.exists()


def test_missing_pin_is_the_digest_of_the_wheel(index: Path) -> None:
    digest = make_wheel(index)
    assert sources.pin("pypi://tinydata==1.0/tinydata/rows.csv") == f"sha256:{digest}"


def test_wrong_digest_names_both_and_leaves_nothing(index: Path, cache: Path) -> None:
    digest = make_wheel(index)
    with raises("sha256-mismatch", "0" * 64, digest):
        sources.fetch(f"pypi://tinydata==1.0/tinydata/rows.csv#sha256={'0' * 64}")
    assert [path for path in (cache / "pypi").iterdir() if path.suffix != ".lock"] == []


def test_path_that_is_not_there(index: Path) -> None:
    make_wheel(index)
    with raises("source-missing", "'tinydata/row.csv'") as caught:
        sources.fetch("pypi://tinydata==1.0/tinydata/row.csv")
    assert "tinydata/rows.csv" in caught.value.hint


@pytest.mark.parametrize("name", ["tinydata/model/../../../evil", "tinydata/model/a/../../x"])
def test_entries_that_climb_out_are_refused(index: Path, name: str, tmp_path: Path) -> None:
    make_wheel(index, {name: "evil"})
    with raises("archive-unsafe", "tinydata-1.0"):
        sources.fetch("pypi://tinydata==1.0/tinydata/model")
    assert not list(tmp_path.rglob("evil"))


def test_links_are_refused(index: Path) -> None:
    make_wheel(index)
    with zipfile.ZipFile(index / WHEEL, "a") as archive:
        link = zipfile.ZipInfo("tinydata/model/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/hostname")
    with raises("archive-unsafe", "tinydata-1.0"):
        sources.fetch("pypi://tinydata==1.0/tinydata/model")


def test_what_pip_cannot_find(index: Path) -> None:
    with raises("source-unreachable", "tinydata==2.0"):
        sources.fetch("pypi://tinydata==2.0/tinydata/rows.csv")


@pytest.mark.parametrize(
    "uri", ["pypi://tinydata/rows.csv", "pypi://tinydata==1.0", "pypi://x==1/"]
)
def test_uri_without_version_or_path(uri: str) -> None:
    with raises("uri-invalid", f"'{uri}'"):
        sources.pin(uri)
