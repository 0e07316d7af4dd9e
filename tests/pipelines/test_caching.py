"""Neither cache lies: edited code makes DVC and KFP run the same steps again, and no others.

DVC compares the files that a stage lists; KFP compares parameters, of which `<step>_key` is one.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT, code_files
from decant.runtime.steps import STEPS

STUDENT_STEPS = {"transfer_weights", "distill", "export_onnx"}
# The steps that are known here; test_graphs_agree.py compares the rooms of a further one.
KNOWN = {"ingest", "tokenize", "finetune", *STUDENT_STEPS, "evaluate", "register"}

# The steps that use a room of the library, read off the code.
ROOMS: dict[str, set[str]] = {
    "runtime": KNOWN,
    "tables": {"ingest"},
    "sources": {"ingest"},
    "data": KNOWN - {"register"},
    "models": KNOWN - {"evaluate", "register"},
    "students": STUDENT_STEPS,
    "training": {"finetune", "transfer_weights", "distill"},
    "figures": {"evaluate", "register"},
    "inference": {"export_onnx", "evaluate", "register"},
    "tasks": KNOWN,
    "tracking": {"register"},  # it registers under the step's run
    "runner": set(),  # around the steps: none imports it
}

# File → the steps that an edit of it reruns.
EDITS: dict[str, set[str]] = {
    "decant/runtime/errors.py": ROOMS["runtime"],
    "decant/tables/csv.py": ROOMS["tables"],
    "decant/sources/pypi.py": ROOMS["sources"],
    "decant/data/tokens.py": ROOMS["data"],
    "decant/models/heads/linear.py": ROOMS["models"],
    "decant/students/cnn.py": ROOMS["students"],
    "decant/students/_new.py": ROOMS["students"],  # a file that was not there
    "decant/students/__pycache__/cnn.pyc": set(),
    "decant/training/fit.py": ROOMS["training"],
    "decant/figures/timing_figures.py": ROOMS["figures"],
    "decant/inference/latency.py": ROOMS["inference"],
    "decant/tracking/delivery.py": ROOMS["tracking"],
    "decant/runner/kfp_task.py": ROOMS["runner"],
    "components/distill/step.py": {"distill"},
    "components/distill/shards.py": {"distill"},
    "components/evaluate/report.html.j2": {"evaluate"},  # no module, but in the step's folder
    "requirements.lock": KNOWN,
    "pipelines/kubeflow/compiling.py": set(),
}

# Prints, per file, the names of the pipeline's arguments that an edit of it changes.
SCRIPT = """
import json, sys
from pathlib import Path
from decant.runtime import identity
from pipelines.arguments import pipeline_arguments

def arguments():
    for function in vars(identity).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()  # as in a new process, without importing torch again
    return pipeline_arguments(Path("params.yaml"))

assert identity.PROJECT == Path.cwd()
before, changed = arguments(), {}
for name in json.load(sys.stdin):
    file = Path(name)
    text = file.read_bytes() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((text or b"") + b"\\n# a remark\\n")
    after = arguments()
    changed[name] = sorted(key for key in after if after[key] != before[key])
    file.unlink() if text is None else file.write_bytes(text)
assert arguments() == before
print(json.dumps(changed))
"""


@pytest.fixture(scope="module")
def changed_arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """All edits in one process on a copy of the project: most of its time is the imports."""
    copy = tmp_path_factory.mktemp("checkout").resolve()
    for name in ("decant", "components", "pipelines"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "params.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, copy)
    for name in ("corpus", "encoder"):
        (copy / "data" / name).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        input=json.dumps(list(EDITS)),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    return dict(YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"])


def stages_that_watch(file: str, stages: dict[str, Any]) -> set[str]:
    """Those with a dependency that is the file or holds it; `__pycache__` is in .dvcignore."""
    if "__pycache__" in file:
        return set()
    around = {file, *(parent.as_posix() for parent in Path(file).parents)}
    return {name for name, stage in stages.items() if around & set(stage["deps"])}


@pytest.mark.slow  # the copy's own process imports every step, some 7 s
@pytest.mark.parametrize("file", EDITS)
def test_an_edit_reruns_exactly_the_steps_that_use_its_room(
    file: str, changed_arguments: dict[str, list[str]], stages: dict[str, Any]
) -> None:
    changed = {key.removesuffix("_key") for key in changed_arguments[file]}
    assert changed & KNOWN == EDITS[file]
    assert stages_that_watch(file, stages) == changed


def test_every_room_is_watched_by_the_steps_that_use_it(stages: dict[str, Any]) -> None:
    folders = {
        path.name for path in (PROJECT / "decant").iterdir() if (path / "__init__.py").exists()
    }
    assert set(ROOMS) == folders
    for room, steps in ROOMS.items():
        watching = {name for name in stages if f"decant/{room}" in stages[name]["deps"]}
        assert watching & KNOWN == steps, room


def test_the_edited_files_are_real() -> None:
    made = {"decant/students/_new.py", "decant/students/__pycache__/cnn.pyc"}
    assert {file for file in EDITS if not (PROJECT / file).exists()} - made == set()
    assert "__pycache__" in (PROJECT / ".dvcignore").read_text()


def test_dvc_and_kfp_watch_the_same_files_of_the_whole_project(stages: dict[str, Any]) -> None:
    watched = {
        step: {f.relative_to(PROJECT).as_posix() for f in code_files(step)} for step in STEPS
    }
    files = [
        file.relative_to(PROJECT).as_posix()
        for floor in ("decant", "components")
        for file in (PROJECT / floor).glob("**/*")
    ]
    sources = [file for file in files if (PROJECT / file).is_file() and "__pycache__" not in file]
    assert len(sources) > 100
    for file in sources:
        assert {step for step in STEPS if file in watched[step]} == stages_that_watch(file, stages)
