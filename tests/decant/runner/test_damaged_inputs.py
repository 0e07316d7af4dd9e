"""Every file of an artifact that a disk, a copy or a hand damaged is named before a step runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decant.runner.run_step import run_step
from decant.runtime.artifacts import CARD, read_card
from decant.runtime.errors import UserError
from decant.runtime.identity import SIDECAR
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from tests.damages import DAMAGES, Damage
from tests.errors import assert_error, raises


@pytest.fixture(scope="module")
def made(tiny_params: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of ingest."""
    root = tmp_path_factory.mktemp("made")
    step = load_step("ingest")
    run_step(
        "ingest",
        section_of(tiny_params, "ingest", step.params),
        {port: root / port for port in step.output_ports},
    )
    return root


def tokenize(params: dict[str, Any], root: Path) -> None:
    section = section_of(params, "tokenize", load_step("tokenize").params)
    run_step("tokenize", section, {port: root / port for port in ("corpus", "encoder", "tokens")})


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_file_is_read(
    damage: Damage, made: Path, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    files = [
        file.relative_to(made)
        for port in ("corpus", "encoder")
        for file in sorted((made / port).rglob("*"))
        if file.is_file() and file.name != SIDECAR
    ]
    assert len(files) > 10
    for name in files:
        root = tmp_path / "artifacts"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(made, root)
        damage(root / name)
        with pytest.raises(UserError) as caught:
            tokenize(tiny_params, root)
        expected = (
            caught.value.code
            if name.name == CARD and caught.value.code in ("artifact-missing", "artifact-outdated")
            else "artifact-damaged"
        )
        shown = name.parent if caught.value.code == "artifact-missing" else name
        assert_error(caught.value, expected, str(root / shown), "ingest")
        assert not (root / "tokens").exists()


def test_the_command_names_file_step_and_what_to_run(
    made: Path, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "artifacts"
    shutil.copytree(made, root)
    file = root / "corpus" / "test.parquet"
    file.write_bytes(bytes(file.stat().st_size))
    params = tmp_path / "params.json"
    params.write_text(json.dumps(tiny_params))
    ports = [f"--{port}={root / port}" for port in ("corpus", "encoder", "tokens")]
    done = subprocess.run(
        [sys.executable, "-m", "components", "tokenize", "--params", str(params), *ports],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "error[artifact-damaged]" in done.stderr and "Traceback" not in done.stderr
    assert str(file) in done.stderr and "decant step ingest" in done.stderr


def test_a_card_of_before_there_were_digests_is_read(
    made: Path, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "artifacts"
    shutil.copytree(made, root)
    for port in ("corpus", "encoder"):
        content = json.loads((root / port / CARD).read_text())
        del content["files"], content["digest"]
        (root / port / CARD).write_text(json.dumps(content))
    tokenize(tiny_params, root)
    assert set(read_card(root / "tokens").files) == {
        file.name for file in (root / "tokens").iterdir()
    } - {CARD, SIDECAR}


def test_a_folder_in_a_files_place_is_named(
    made: Path, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "artifacts"
    shutil.copytree(made, root)
    (root / "corpus" / "train.parquet").unlink()
    (root / "corpus" / "train.parquet").mkdir()
    with raises("artifact-damaged", "train.parquet", "missing"):
        tokenize(tiny_params, root)
