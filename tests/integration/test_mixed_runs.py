"""Artifacts of different runs are not mixed, and a kill between two renames is recognised."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card, write_json
from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT, content_digest, file_digest
from decant.runtime.params_file import section_of
from decant.runtime.steps import STEPS, load_step
from tests.errors import raises
from tests.exported_graphs import ExportedGraphs

pytestmark = pytest.mark.slow


def section(params: dict[str, Any], step: str) -> Mapping[str, Any]:
    return section_of(params, step, load_step(step).params)


def run(step: str, params: dict[str, Any], root: Path, **elsewhere: Path) -> None:
    """The ports are in `root`, or `elsewhere`."""
    declared = load_step(step)
    ports = {port: root / port for port in (*declared.input_ports, *declared.output_ports)}
    run_step(step, section(params, step), ports | elsewhere)


@pytest.fixture(scope="module")
def short(tiny_params: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(json.dumps(tiny_params))
    params["finetune"]["training"]["epochs"] = 2
    params["distill"]["training"]["epochs"] = 1
    params["distill"]["undistilled_training"]["epochs"] = 1
    params["distill"] |= {"transfer_rows": 0, "epoch_rows": 1}
    for models in ("student", "teacher"):
        params["export_onnx"]["quantisation"][models]["forms"] = []
    params["register"] |= {"enabled": False}
    return params


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, short: dict[str, Any]
) -> dict[str, tuple[dict[str, Any], Path]]:
    """Two whole runs of the same data, of another seed each, up to register."""
    found, graphs = {}, ExportedGraphs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DECANT_TRACKING", "off")
        patch.setattr("components.export_onnx.step.export_graph", graphs.export_graph)
        for name, seed in (("one", 1), ("two", 2)):
            root = tmp_path_factory.mktemp(name)
            params = short | {"seed": seed}
            for step in STEPS:
                run(step, params, root)
            found[name] = (params, root)
    return found


MIXTURES = [
    (step, port)
    for step, ports in {
        "transfer_weights": ["teacher"],
        "distill": ["teacher", "initial_student"],
        "export_onnx": ["teacher", "student", "undistilled"],
        "register": ["onnx", "evaluation", "report"],
    }.items()
    for port in ports
]


@pytest.mark.parametrize(("step", "port"), MIXTURES)
def test_an_input_of_another_run_is_refused_with_both_digests(
    step: str, port: str, runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path
) -> None:
    (params, one), (_, two) = runs["one"], runs["two"]
    outputs = {out: tmp_path / out for out in load_step(step).output_ports}
    if step == "transfer_weights":  # both runs have the same data: a run of other data
        two = tmp_path / "other"
        other = json.loads(json.dumps(params))
        other["tokenize"]["max_length_tokens"] = 12
        shutil.copytree(one, two)
        run("tokenize", other, two)
        with raises("inputs-mismatch", "--teacher", "--tokens") as caught:
            run(step, params, one, tokens=two / "tokens", **outputs)
        expected = [content_digest(folder / "tokens") for folder in (one, two)]
    else:
        with raises("inputs-mismatch", f"--{port} {two / port}") as caught:
            run(step, params, one, **outputs, **{port: two / port})
        expected = []
    assert all(digest in str(caught.value) for digest in expected)
    words = str(caught.value).replace(",", " ").split()
    digests = {word for word in words if len(word.rstrip(".;")) == 64 and word.isalnum()}
    assert len(digests) == 2
    assert not any(path.exists() for path in outputs.values())


def test_an_evaluation_on_another_corpus_is_refused(
    runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path
) -> None:
    params, one = runs["one"]
    other = json.loads(json.dumps(params))
    other["ingest"]["label_budget"] = 80
    run("ingest", other, tmp_path)
    outputs = {port: tmp_path / port for port in ("evaluation", "report")}
    with raises("inputs-mismatch", content_digest(tmp_path / "corpus"), "--onnx", "--corpus"):
        run("evaluate", params, one, corpus=tmp_path / "corpus", **outputs)


def test_a_report_with_figures_of_another_run_is_refused(
    runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path
) -> None:
    """Its card may be of the same run: the folder was mixed file by file."""
    params, one = runs["one"]
    shutil.copytree(one / "report", tmp_path / "report")
    file = tmp_path / "report" / "metrics.json"
    figures = json.loads(file.read_text("utf-8"))
    figures["student"]["accuracy"] = 0.125
    write_json(file, figures)
    with raises("artifact-damaged", str(file), "evaluate"):
        run("register", params, one, report=tmp_path / "report", receipt=tmp_path / "receipt")


def test_a_damaged_input_is_refused_with_the_step_that_makes_it_again(
    runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path
) -> None:
    params, one = runs["one"]
    shutil.copytree(one / "teacher", tmp_path / "teacher")
    file = tmp_path / "teacher" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with raises("artifact-damaged", str(file), file_digest(file), "decant step finetune"):
        run("export_onnx", params, one, teacher=tmp_path / "teacher", onnx=tmp_path / "onnx")


def test_a_card_names_all_that_is_behind_it(
    runs: dict[str, tuple[dict[str, Any], Path]],
) -> None:
    _, one = runs["one"]
    lineage = read_card(one / "evaluation").lineage
    behind = {port for step in STEPS[:6] for port in load_step(step).output_ports}
    assert lineage == {port: content_digest(one / port) for port in sorted(behind)}


KILLED = """
import os, signal, sys
from pathlib import Path
left, rename = int(sys.argv.pop(1)), Path.rename

def counted(self, target):
    global left
    if ".partial-" in self.name or ".old-" in Path(target).name:
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return rename(self, target)

Path.rename = counted
from decant.runner.step_command import step_command
step_command()
"""


@pytest.mark.parametrize("renames", range(4))
def test_a_kill_between_two_renames_is_recognised_and_run_again(
    renames: int, short: dict[str, Any], tmp_path: Path
) -> None:
    """Both outputs of ingest were there, and new ones replace them: old and new names, four."""
    folders = {port: tmp_path / port for port in ("corpus", "encoder")}
    run("ingest", short, tmp_path)
    before = [content_digest(folder) for folder in folders.values()]
    params = json.loads(json.dumps(short))
    params["ingest"]["label_budget"] = 80
    write_json(tmp_path / "params.json", {"ingest": params["ingest"]})
    command = ["ingest", "--params", str(tmp_path / "params.json")]
    for port, folder in folders.items():
        command += [f"--{port}", str(folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(renames), *command], cwd=PROJECT, check=False
    )
    assert killed.returncode == -9
    if renames == 0:  # nothing was renamed
        assert [content_digest(folder) for folder in folders.values()] == before
    else:
        with pytest.raises(UserError) as caught:
            run("tokenize", params, tmp_path)
        expected = "inputs-mismatch" if renames == 2 else "artifact-missing"
        assert caught.value.code == expected
    run("ingest", params, tmp_path)
    run("tokenize", params, tmp_path)
    assert read_card(tmp_path / "corpus").identity == read_card(tmp_path / "encoder").identity
