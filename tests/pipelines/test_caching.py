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

from components.shared.identity import PROJECT, code_files
from components.shared.steps import STEPS

STUDENT_STEPS = {"transfer_weights", "distill", "export_onnx"}
TEACHER_STEPS = {"finetune", *STUDENT_STEPS}

# File → the steps that import it, directly or not, read off the code.
EDITS: dict[str, set[str]] = {
    "components/shared/errors.py": set(STEPS),
    "components/shared/tokens.py": {"tokenize", *TEACHER_STEPS},
    "components/shared/latency.py": {"export_onnx", "evaluate"},
    "components/shared/training/fit.py": {"finetune", "distill"},
    "components/shared/tracking_delivery.py": {"register"},  # it registers under the step's run
    "components/shared/tracking.py": set(),  # around the steps: the runner's, none imports it
    "components/shared/sources/pypi.py": {"ingest"},
    "components/distill/step.py": {"distill"},
    "components/distill/shards.py": {"distill"},
    "components/evaluate/report.html.j2": {"evaluate"},  # no module, but in the step's folder
    "components/shared/students/cnn.py": STUDENT_STEPS,
    "components/shared/students/_new.py": STUDENT_STEPS,  # a file that was not there
    "components/shared/heads/linear.py": TEACHER_STEPS,
    "components/shared/convolution.py": TEACHER_STEPS,  # imported by students and heads alone
    "requirements.lock": set(STEPS),
    "components/shared/kfp_adapter.py": set(),  # moves data, computes nothing
    "components/shared/students/__pycache__/cnn.pyc": set(),
    "pipelines/compile.py": set(),
}

# Prints, per file, the names of the pipeline's arguments that an edit of it changes.
SCRIPT = """
import json, sys
from pathlib import Path
from components.shared import identity
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
    for name in ("components", "pipelines"):
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
def test_an_edit_reruns_exactly_the_steps_that_import_the_file(
    file: str, changed_arguments: dict[str, list[str]], stages: dict[str, Any]
) -> None:
    assert changed_arguments[file] == sorted(f"{step}_key" for step in EDITS[file])
    assert stages_that_watch(file, stages) == EDITS[file]


def test_the_edited_files_are_real() -> None:
    made = {"components/shared/students/_new.py", "components/shared/students/__pycache__/cnn.pyc"}
    assert {file for file in EDITS if not (PROJECT / file).exists()} - made == set()
    assert "__pycache__" in (PROJECT / ".dvcignore").read_text()


def test_dvc_and_kfp_watch_the_same_files_of_the_whole_project(stages: dict[str, Any]) -> None:
    watched = {
        step: {f.relative_to(PROJECT).as_posix() for f in code_files(step)} for step in STEPS
    }
    files = [file.relative_to(PROJECT).as_posix() for file in PROJECT.glob("components/**/*")]
    sources = [file for file in files if (PROJECT / file).is_file() and "__pycache__" not in file]
    assert len(sources) > 100
    for file in sources:
        assert {step for step in STEPS if file in watched[step]} == stages_that_watch(file, stages)
