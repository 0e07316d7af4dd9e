"""What the system does to a command: real full devices, limits and missing rights."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from decant.runtime.system_errors import as_user_error
from tests.errors import assert_error

# Of the libraries that write artifacts, in a process of its own; `file` is where they write.
WRITERS = {
    "python": "open(file, 'wb').write(bytes(90000))",
    "safetensors": "import numpy as np; from safetensors.numpy import save_file; "
    "save_file({'a': np.zeros(90000)}, file)",
    "parquet": "import pyarrow as pa, pyarrow.parquet as pq; "
    "pq.write_table(pa.table({'a': list(range(90000))}), file)",
    "arrow": "import pyarrow as pa; t = pa.table({'a': list(range(90000))}); "
    "pa.ipc.new_file(file, t.schema).write_table(t)",
    "tokenizers": "from tokenizers import Tokenizer, models; "
    "Tokenizer(models.WordLevel({f'w{n}': n for n in range(900)}, 'w0')).save(file)",
    "numpy": "import numpy as np; np.save(open(file, 'wb'), np.zeros(90000))",
    "matplotlib": "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt; "
    "plt.plot([1, 2]); plt.savefig(open(file, 'wb'), format='png')",
    "copy": "import shutil; open(file + '.from', 'wb').write(bytes(90000)); "
    "shutil.copyfile(file + '.from', file)",
    "sqlite": "import sqlite3; c = sqlite3.connect(file); c.execute('pragma max_page_count = 2'); "
    "c.execute('create table t (a)'); "
    "c.executemany('insert into t values (?)', [('x' * 999,)] * 99); c.commit()",
}
COMMAND = """
import sys
from decant.runtime.ending import exit_on_error
file = sys.argv[1]
with exit_on_error():
    {code}
"""


def ended(code: str, file: str, **limits: int) -> "subprocess.CompletedProcess[str]":
    """A command with this code. Limits are the names of RLIMIT_... and their values."""

    def limit() -> None:
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    return subprocess.run(
        [sys.executable, "-c", COMMAND.format(code=code), file],
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )


@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "sqlite"])
def test_a_file_that_cannot_grow_is_one_message(writer: str, tmp_path: Path) -> None:
    done = ended(WRITERS[writer], str(tmp_path / "file"), FSIZE=2000)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error[disk-full]: "), done.stderr
    assert "Traceback" not in done.stderr and "hint: " in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_one_message_with_its_path(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        for writer in ("python", "safetensors", "parquet", "sqlite"):
            done = ended(WRITERS[writer], str(tmp_path / "file"))
            assert done.returncode == 2, done.stderr
            assert done.stderr.startswith("error[disk-full]: "), done.stderr
            assert "no room left" in done.stderr
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_standard_output_on_a_full_disk_is_no_success(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "--help"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error[disk-full]: ") and "Exception ignored" not in done.stderr


def test_too_many_open_files_are_one_message(tmp_path: Path) -> None:
    done = ended("kept = [open(file, 'w') for _ in range(99)]", str(tmp_path / "a"), NOFILE=40)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error[files-too-many]: ") and str(tmp_path) in done.stderr


def test_memory_that_is_not_there_is_one_message() -> None:
    done = ended("bytes(1 << 50)", "")
    assert done.returncode == 2
    assert done.stderr.startswith("error[memory-full]: ")


@pytest.mark.skipif(os.getuid() != 0, reason="another user is played by root")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(file + '/new', 'w')", "path-unwritable"),
        ("open(file + '/secret').read()", "file-unreadable"),
    ],
)
def test_rights_that_are_missing_are_named(code: str, expected: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        Path(folder).chmod(0o755)
        (Path(folder) / "secret").write_text("x")
        (Path(folder) / "secret").chmod(0)
        drop = "import os; os.setgid(65534); os.setuid(65534); "
        done = ended(drop + code, folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error[{expected}]: {folder}/"), done.stderr
    assert "65534" in done.stderr, "as whom it runs"


@pytest.mark.parametrize(
    "code",
    [
        "import pathlib; pathlib.Path(file).mkdir(exist_ok=True)",
        "import pathlib; pathlib.Path(file, 'logits').mkdir(exist_ok=True)",
    ],
)
def test_a_file_in_place_of_a_folder_is_one_message(code: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ended(code, str(tmp_path / "file"))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error[path-unwritable]: {tmp_path / 'file'}"), done.stderr


def test_a_bug_keeps_its_traceback_and_says_where_to_report_it() -> None:
    done = ended("{}['key']", "")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "KeyError" in done.stderr
    assert "report it" in done.stderr.splitlines()[-1]


def test_a_reader_that_has_enough_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m pipelines --help | true",
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stderr == ""


def test_what_caused_an_error_is_found_and_notes_say_where() -> None:
    try:
        try:
            raise OSError(28, "No space left on device", "/data/file")
        except OSError as cause:
            raise RuntimeError("writer failed") from cause
    except RuntimeError as error:
        error.add_note("while artifacts/tokens was to be written")
        found = as_user_error(error)
    assert found
    assert_error(found, "disk-full", "/data/file", "artifacts/tokens")
    assert as_user_error(ValueError("no space for doubt")) is None


@pytest.mark.parametrize("limit", [0, 200, 2000])
def test_torch_on_a_full_disk_is_one_message(limit: int, tmp_path: Path) -> None:
    """It says `unexpected pos 64 vs 0`, without the system's number."""
    code = (
        "import resource, torch; resource.setrlimit(resource.RLIMIT_FSIZE, "
        f"({limit}, {limit})); torch.save(torch.zeros(9000), file)"
    )
    done = ended(code, str(tmp_path / "file"))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error[disk-full]: "), done.stderr
