"""A step begun in a copy of the project: its tests and those of the graphs pass, and it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from scaffold import insertions
from scaffold.new_step import changed_files, plan

NAME = "length_profile"


class Copy:
    """A copy of the project in which commands run, as in a contributor's checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("decant", "components", "pipelines", "benchmarks", "scaffold", "tests"):
            shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
        for name in ("params.yaml", "dvc.yaml", "pyproject.toml", "requirements.lock"):
            shutil.copy(PROJECT / name, folder)
        for name in ("corpus", "encoder"):
            (folder / "data" / name).mkdir(parents=True)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With the step begun, which reads corpus and tokens and writes two artifacts."""
    copied = Copy(tmp_path_factory.mktemp("scaffold").resolve() / "decant")
    outputs = f"{NAME},length_table"
    printed = copied.run("scaffold.new_step", NAME, "--inputs=corpus,tokens", "--outputs", outputs)
    for file in (f"components/{NAME}/step.py", "dvc.yaml", "pipelines/distillation.py"):
        assert file in printed.splitlines()
    return copied


@pytest.mark.slow
def test_the_graphs_agree_and_the_steps_own_test_passes(copy: Copy) -> None:
    """Its code dependencies are derived, the pipeline compiles, ports and parameters match."""
    own = f"tests/components/{NAME}"
    printed = copy.run("pytest", "-q", "-rA", "tests/pipelines/test_graphs_agree.py", own)
    for test in (
        f"test_a_stage_depends_on_its_folder_and_on_the_rooms_that_it_uses_no_more_no_less[{NAME}]",
        f"test_the_ports_of_a_command_are_the_stages_deps_and_outs[{NAME}]",
        "test_same_edges",
        "test_at_most_so_many_files_of_each_input",
    ):
        assert f"::{test}\n" in printed


@pytest.mark.slow
def test_what_was_written_is_as_if_by_hand(copy: Copy) -> None:
    ruff = ("ruff", "--config", str(PROJECT / "pyproject.toml"))
    flow = ("pipelines/distillation.py", "decant/runtime/steps.py")
    code = (f"components/{NAME}", f"tests/components/{NAME}", *flow)
    copy.run(*ruff, "check", "--quiet", *code)
    copy.run(*ruff, "format", "--check", "--quiet", *code)
    stages = YAML(typ="safe").load((copy.folder / "dvc.yaml").read_text())["stages"]
    at = STEPS.index("tokenize") + 1
    assert tuple(stages) == (*STEPS[:at], NAME, *STEPS[at:])
    section = (
        f"{NAME}: # what it does\n"
        "  max_files: 100 # an example: names listed per input, at least 1\n"
    )
    after = (copy.folder / "params.yaml").read_text()
    assert after.replace(f"{section}\n", "") == (PROJECT / "params.yaml").read_text()


@pytest.mark.slow
def test_the_new_step_runs(copy: Copy, tmp_path: Path) -> None:
    files = {"corpus": ["card.json", "train.parquet"], "tokens": ["card.json", "train.arrow"]}
    card = {"identity": "1", "varying": False, "params": {}, "inputs": {}, "metrics": {}}
    for port, names in files.items():
        (tmp_path / port).mkdir()
        for name in names:
            (tmp_path / port / name).write_text("content")
        whole = card | {"step": "of a test", "port": port, "versions": {}}
        (tmp_path / port / "card.json").write_text(json.dumps(whole))
    ports = ("corpus", "tokens", NAME, "length_table")
    paths = [f"--{port}={tmp_path / port}" for port in ports]
    copy.run("components", NAME, *paths)
    for port in (NAME, "length_table"):
        assert json.loads((tmp_path / port / "files.json").read_text()) == files
        made = json.loads((tmp_path / port / "card.json").read_text())
        assert (made["step"], made["port"], made["metrics"]) == (NAME, port, {"files": 4.0})
        assert set(made["inputs"]) == {"corpus", "tokens"}


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "message"),
    [
        ("Length", "corpus", "lengths", "'Length' is not a name"),
        ("class", "corpus", "lengths", "'class' is not a name"),
        ("distill", "corpus", "lengths", "'distill' is taken"),
        ("tokens", "corpus", "lengths", "'tokens' is taken"),  # a variable of the flow
        ("lengths", "corpis", "lengths", "no step writes 'corpis'; there are: corpus, encoder"),
        ("lengths", "corpus", "teacher", "'teacher' is taken"),
        ("lengths", "corpus", "params", "'params' is taken"),
        ("lengths", "corpus", "", "give at least one"),
        ("lengths", "receipt", "lengths", "'register' is the last step"),
    ],
)
def test_a_step_that_cannot_be_is_refused(
    name: str, inputs: str, outputs: str, message: str
) -> None:
    words = tuple(filter(None, outputs.split(",")))
    with pytest.raises(click.BadParameter, match=message):
        plan(name, (inputs,), words)


@pytest.mark.parametrize("port", ["corpus", "teacher", "initial_student", "evaluation"])
def test_a_step_may_follow_every_step_but_the_last(port: str) -> None:
    step = plan("lengths", (port,), ("lengths",))
    texts = {path.name: text for path, text in changed_files(step).items()}
    compile(texts["distillation.py"], "distillation.py", "exec")
    assert f'    "{step.after}",\n    "lengths",\n' in texts["steps.py"]
    stages = list(YAML(typ="safe").load(texts["dvc.yaml"])["stages"])
    assert stages.index("lengths") == stages.index(step.after) + 1
    sections = list(YAML(typ="safe").load(texts["params.yaml"]))
    assert sections.index("lengths") == sections.index(step.after) + 1


FLOW = """\
from components.read.component import read
from components.write.component import write

@dsl.pipeline
def flow(
    read_params: str,
    write_params: str,
    read_key: str,
    write_key: str,
) -> None:
    reading = read(params=read_params, key=read_key)
    text, table = reading.outputs["text"], reading.outputs["table"]

    writing = write(text=text, params=write_params, key=write_key)

    for task in (
        reading,
        writing,
    ):
        label(task)
"""


def test_a_task_in_a_flow() -> None:
    flow = insertions.Flow(FLOW)
    assert flow.source_of("table", "read") == "table"
    assert flow.source_of("other", "read") == 'reading.outputs["other"]'
    text = flow.with_task("count", "    counting = count(text=text)\n", after="read")
    assert (
        text.splitlines()
        == [
            "from components.count.component import count",
            *FLOW.splitlines()[:5],
            "    read_params: str,",
            "    count_params: str,",
            "    write_params: str,",
            "    read_key: str,",
            "    count_key: str,",
            "    write_key: str,",
            *FLOW.splitlines()[9:13],
            "    counting = count(text=text)",
            "",
            *FLOW.splitlines()[13:17],
            "counting,",  # ruff indents it
            *FLOW.splitlines()[17:],
        ]
    )


def test_a_section_goes_before_the_comments_of_the_next() -> None:
    text = "one: # first\n  a: 1\n  # of b\n  b: 2\n\n# of two\ntwo:\n  c: 3\n"
    expected = "one: # first\n  a: 1\n  # of b\n  b: 2\n\nnew:\n  d: 4\n\n# of two\ntwo:\n  c: 3\n"
    assert insertions.add_section(text, "new:\n  d: 4\n", after="one") == expected
