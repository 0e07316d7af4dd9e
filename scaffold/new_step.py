"""make step NAME=...: begins a step, complete enough to run and to pass the tests of the graphs.

Writes its folder and its test from the templates in `step/`, and its place in what lists the steps:
`STEPS`, params.yaml, dvc.yaml and pipelines/distillation.py. The step stands right after the last
one that it reads from. Jinja2, which is here anyway, and not cookiecutter or copier: those write
new files alone, and half of a step is a place in files that exist.
"""

import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS, artifact_folder, load_step
from scaffold import insertions

TEMPLATES = Path(__file__).with_name("step")
# A component has these parameters beside its ports.
_RESERVED = {"params", "key", "metrics", "page", "seed"}

_LEFT = """
What is left to write by hand:
  components/{name}/contract.py   its Params, with their comments in params.yaml
  components/{name}/step.py       what the step does
  components/{name}/component.py  the kind of each output: dsl.Dataset, dsl.Model, ...
  dvc.yaml                        the rooms that it imports; a test prints the difference
  docs/flow.svg, CHANGELOG.md     its place in the picture, and an entry
Then:
  DECANT_WRITE_GOLDEN=1 pytest tests/pipelines/profiles/test_shipped_profiles.py
  pytest tests/components/{name} tests/pipelines/test_graphs_agree.py
  decant step {name} --help
"""


@dataclass(frozen=True, kw_only=True)
class NewStep:
    """What the templates know. `after`: the step that it follows."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    after: str

    @property
    def words(self) -> str:
        """The name as a reader of KFP's page sees it."""
        return self.name.replace("_", " ")


@click.command()
@click.argument("name")
@click.option(
    "--inputs", default="corpus", show_default=True, help="Artifacts that it reads, with commas."
)
@click.option("--outputs", help="Artifacts that it writes, with commas; one named as the step.")
def main(name: str, inputs: str, outputs: str | None) -> None:
    """Begin the step NAME, such as length_profile."""
    step = plan(name, _words(inputs), _words(outputs or name))
    files = {**new_files(step), **changed_files(step)}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    sources = [str(path) for path in files if path.suffix == ".py"]
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--select=I", "--fix", *sources], check=True)
    subprocess.run([*ruff, "format", "--quiet", *sources], check=True)
    for path in files:
        click.echo(path.relative_to(PROJECT))
    click.echo(_LEFT.format(name=name).rstrip())


def plan(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> NewStep:
    """Raises click.BadParameter for a name that cannot be taken and a port that does not fit."""
    makers = {port: step for step in STEPS for port in load_step(step).output_ports}
    flow = (PROJECT / "pipelines" / "distillation.py").read_text("utf-8")
    taken = {*STEPS, *insertions.local_names(flow)}
    _check_names("NAME", (name,), taken)
    _check_names("--outputs", outputs, set(makers) | _RESERVED)
    for port in inputs:
        if port not in makers:
            raise click.BadParameter(
                f"no step writes '{port}'; there are: {', '.join(makers)}", param_hint="--inputs"
            )
    after = max((makers[port] for port in inputs), key=STEPS.index)
    if after == STEPS[-1]:
        raise click.BadParameter(
            f"'{after}' is the last step: what it does outside of the project is not an input",
            param_hint="--inputs",
        )
    return NewStep(name=name, inputs=inputs, outputs=outputs, after=after)


def new_files(step: NewStep) -> dict[Path, str]:
    """The step's folder and its test."""
    folder = PROJECT / "components" / step.name
    tests = PROJECT / "tests" / "components" / step.name
    kinds = insertions.output_kinds(
        (PROJECT / "components" / name / "component.py").read_text("utf-8") for name in STEPS
    )
    return {
        folder / "__init__.py": "",
        folder / "contract.py": _render("contract.py.j2", step),
        folder / "step.py": _render("step.py.j2", step),
        folder / "component.py": _render("component.py.j2", step, kinds=kinds),
        tests / f"test_{step.name}_step.py": _render("test_step.py.j2", step),
    }


def changed_files(step: NewStep) -> dict[Path, str]:
    """The files that list the steps, with the new one in its place."""
    steps, flow = PROJECT / "decant/runtime/steps.py", PROJECT / "pipelines/distillation.py"
    params, stages = PROJECT / "params.yaml", PROJECT / "dvc.yaml"
    tree = insertions.Flow(flow.read_text("utf-8"))
    task = _render(
        "task.py.j2",
        step,
        sources={port: tree.source_of(port, _maker(port)) for port in step.inputs},
    )
    return {
        steps: insertions.add_name(steps.read_text("utf-8"), step.name, after=step.after),
        flow: tree.with_task(step.name, task, after=step.after),
        params: insertions.add_section(
            params.read_text("utf-8"), _render("params.yaml.j2", step), after=step.after
        ),
        stages: insertions.add_stage(
            stages.read_text("utf-8"),
            _render("stage.yaml.j2", step, folder_of=artifact_folder),
            after=step.after,
        ),
    }


def _render(template: str, step: NewStep, **more: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it writes Python and YAML
    )
    return environment.get_template(template).render(step=step, **more)


def _maker(port: str) -> str:
    return next(step for step in STEPS if port in load_step(step).output_ports)


def _check_names(where: str, names: tuple[str, ...], taken: set[str]) -> None:
    if not names:
        raise click.BadParameter("give at least one", param_hint=where)
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
            raise click.BadParameter(
                f"'{name}' is not a name of small letters, digits and underscores",
                param_hint=where,
            )
        if name in taken:
            raise click.BadParameter(f"'{name}' is taken", param_hint=where)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


if __name__ == "__main__":
    main()
