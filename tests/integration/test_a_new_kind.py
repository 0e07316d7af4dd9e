"""Adding a kind of target touches one folder: no step knows a kind by its name."""

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import decant.tasks
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from decant.tasks.kinds import kinds
from decant.text_classifier import TextClassifier
from tests.integration.test_kinds_of_targets import STEPS, rows

NEW = "grades"


@pytest.fixture
def new_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind of numbers under another name, in a folder outside the package."""
    folder = tmp_path / "kinds" / NEW
    shutil.copytree(Path(decant.tasks.__path__[0]) / "regression", folder)
    for file in folder.glob("*.py"):
        text = file.read_text("utf-8").replace("decant.tasks.regression", f"decant.tasks.{NEW}")
        file.write_text(text, "utf-8")
    monkeypatch.setattr(decant.tasks, "__path__", [*decant.tasks.__path__, str(folder.parent)])
    kinds.cache_clear()
    yield NEW
    kinds.cache_clear()


@pytest.mark.slow
def test_a_folder_is_enough_for_the_whole_flow(
    new_kind: str, tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    lines = (json.dumps(row) + "\n" for row in rows(300))
    (data / "rows.jsonl").write_text("".join(lines), "utf-8")
    params = json.loads(json.dumps(tiny_params))
    options = params["ingest"]["kinds"]["regression"]
    params["ingest"] |= {
        "source": str(data / "rows.jsonl"),
        "local_corpus": str(data),
        "label_column": "stars",
        "task": new_kind,
        "group_by": None,
        "kinds": {**params["ingest"]["kinds"], new_kind: options},
    }
    for name in STEPS[:-1]:
        step = load_step(name)
        ports = {port: tmp_path / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)
    figures = read_json(tmp_path / "report" / "metrics.json")
    assert figures["data"]["task"] == new_kind
    pearson = figures["student"]["targets"]["stars"]["pearson"]
    assert pearson == pytest.approx(figures["student"]["score"])
    (answer,) = TextClassifier.load(tmp_path / "onnx" / "student").predict(["the film is good"])
    assert type(answer).__module__ == f"decant.tasks.{new_kind}.answers"


def test_no_code_outside_the_kinds_branches_on_their_names() -> None:
    """Texts that are a kind's name, in code; docstrings and the public names may have them."""
    found = []
    for floor in ("decant", "components", "pipelines", "docker"):
        for file in sorted((PROJECT / floor).rglob("*.py")):
            where = file.relative_to(PROJECT).as_posix()
            if where.startswith("decant/tasks/"):
                continue
            found += [
                f"{where}:{node.lineno}"
                for node in ast.walk(ast.parse(file.read_text("utf-8")))
                if isinstance(node, ast.Constant) and node.value in kinds()
            ]
    assert found == []
