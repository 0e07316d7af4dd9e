"""Downloads that fail and then succeed, from servers on loopback that count their requests."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from decant import sources
from decant.runtime.log_lines import logged_by
from tests.errors import raises
from tests.flaky_server import FlakyServer, serving

ROWS = b"text,label\n" + b"a,b\n" * 100


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decant.runtime.retrying.FIRST_SECONDS", 0.01)
    monkeypatch.setenv("DECANT_RETRY_SECONDS", "0.3")


@pytest.mark.parametrize("how", ["503", "dropped", "short"])
def test_a_download_that_fails_twice_succeeds(how: str) -> None:
    lines: list[str] = []
    # An attempt is a HEAD and a GET, each of which the client repeats on a dropped connection.
    failures = {"503": 4, "dropped": 8, "short": 2}[how]
    with serving(FlakyServer({"/a.csv": ROWS}, failures, how)) as server:
        with logged_by(lines.append):
            assert sources.fetch(server.pinned("/a.csv")).read_bytes() == ROWS
        gets = len([one for one in server.asked if one == "GET /a.csv"])
        assert gets == {"503": 3, "dropped": 5, "short": 3}[how]
        asked = len(server.asked)
        sources.fetch(server.pinned("/a.csv"))
        assert len(server.asked) == asked  # once it is here, nobody is asked
    assert len(lines) == 2
    assert all(line.startswith(f"fetching {server.url}/a.csv failed") for line in lines)


def test_what_goes_on_failing_ends_at_the_limit(cache: Path) -> None:
    lines: list[str] = []
    with (
        serving(FlakyServer({"/a.csv": ROWS}, failures=10_000)) as server,
        logged_by(lines.append),
        raises("source-missing", "503"),
    ):
        sources.fetch(server.pinned("/a.csv"))
    assert 3 <= len(lines) <= 5
    assert [one for one in (cache / "remote").iterdir() if one.suffix != ".lock"] == []


def test_a_missing_file_and_a_wrong_digest_are_not_tried_again() -> None:
    lines: list[str] = []
    with serving(FlakyServer({"/a.csv": ROWS})) as server, logged_by(lines.append):
        with raises("source-missing", "/none.csv"):
            sources.fetch(f"{server.url}/none.csv")
        assert len(server.asked) == 2  # HEAD and GET
        with raises("sha256-mismatch", "0" * 64):
            sources.fetch(f"{server.url}/a.csv#sha256={'0' * 64}")
        assert len([one for one in server.asked if one == "GET /a.csv"]) == 1
    assert lines == []


def test_a_name_that_is_not_known_is_not_tried_again() -> None:
    lines: list[str] = []
    with logged_by(lines.append), raises("source-missing", "nowhere.invalid"):
        sources.fetch("http://nowhere.invalid/a.csv")
    assert lines == []


@pytest.mark.slow
def test_a_wheel_from_an_index_that_fails_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip's own attempts are quick: six of them fail before ours, which is the second."""
    wheel = "tinydata-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / wheel, "w") as archive:
        archive.writestr("tinydata/rows.csv", ROWS)
        archive.writestr("tinydata-1.0.dist-info/METADATA", "Name: tinydata\nVersion: 1.0\n")
        archive.writestr("tinydata-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("tinydata-1.0.dist-info/RECORD", "")
    page = f'<a href="/{wheel}">{wheel}</a>'.encode()
    files = {"/simple/tinydata/": page, f"/{wheel}": (tmp_path / wheel).read_bytes()}
    for name in [one for one in os.environ if one.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    lines: list[str] = []
    with serving(FlakyServer(files, failures=6)) as server, logged_by(lines.append):
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        found = sources.fetch("pypi://tinydata==1.0/tinydata/rows.csv")
        assert found.read_bytes() == ROWS
        assert len(lines) == 1
        with raises("source-unreachable", "tinydata==2.0"):
            sources.fetch("pypi://tinydata==2.0/tinydata/rows.csv")
        assert len(lines) == 1  # a version that is not there is not tried again


@pytest.mark.slow
def test_the_log_of_a_step_has_the_line(tmp_path: Path, tiny_encoder: Path) -> None:
    """The step itself, as a task runs it, in a process of its own."""
    rows = b"text,label\n" + b"".join(
        f"{'good' if n % 2 else 'bad'} film number {n},{n % 2}\n".encode() for n in range(200)
    )
    with serving(FlakyServer({"/a.csv": rows}, failures=4)) as server:
        settings = {
            "source": server.pinned("/a.csv"),
            "encoder": str(tiny_encoder),
            "local_encoder": str(tiny_encoder),
            "label_column": "label",
            "group_by": "null",
            "labels": "null",
            "unlabelled_labels": "[]",
            "label_budget": "null",
        }
        options = [f"--set=ingest.{name}={value}" for name, value in settings.items()]
        outputs = [f"--corpus={tmp_path}/corpus", f"--encoder={tmp_path}/out"]
        done = subprocess.run(
            [sys.executable, "-m", "components", "ingest", *options, *outputs],
            env={**os.environ, "DECANT_RETRY_SECONDS": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len([one for one in server.asked if one == "GET /a.csv"]) == 3
    lines = [line for line in done.stdout.splitlines() if "attempt" in line]
    assert [line.partition(" failed (")[0] for line in lines] == [
        f"ingest warning: fetching {server.url}/a.csv"
    ] * 2
