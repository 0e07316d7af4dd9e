"""The encoder is checked in a process of its own: the rows need the memory torch would keep."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from decant.models.encoder import copy_encoder
from tests.encoder_folders import set_config

COPY = """
import sys
from pathlib import Path
from components.ingest.encoder_files import encoder_files
from decant.runtime.errors import UserError

try:
    print(encoder_files(*map(Path, sys.argv[1:])))
except UserError as error:
    print(error.code, error.problem, error.hint)
assert "torch" not in sys.modules
"""


def copied_apart(source: Path, target: Path) -> str:
    target.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", COPY, source, target], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_files_and_facts_are_those_of_the_check_itself(tiny_encoder: Path, tmp_path: Path) -> None:
    here, apart = tmp_path / "here", tmp_path / "apart"
    here.mkdir()
    assert copied_apart(tiny_encoder, apart) == str(copy_encoder(tiny_encoder, here))
    assert {file.name: file.read_bytes() for file in apart.iterdir()} == {
        file.name: file.read_bytes() for file in here.iterdir()
    }


def test_an_error_is_the_one_of_the_check(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    set_config(tmp_path / "encoder", num_hidden_layers=7)
    shown = copied_apart(tmp_path / "encoder", tmp_path / "copied")
    assert shown.startswith("encoder-weights-missing")
    assert f"the weights in {tmp_path / 'encoder'} do not fill the model" in shown
    assert shown.endswith("give a complete encoder")


def test_it_ends_with_the_process_that_asked(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "copied").mkdir()
    with (tmp_path / "errors").open("w") as errors:
        asking = subprocess.Popen(
            [sys.executable, "-c", COPY, tiny_encoder, tmp_path / "copied"], stderr=errors
        )
        while not (below := psutil.Process(asking.pid).children()):
            assert asking.poll() is None
            time.sleep(0.01)
        asking.kill()
        asking.wait()
    assert not psutil.wait_procs(below, timeout=60)[1]
    assert "Traceback" not in (tmp_path / "errors").read_text("utf-8")
