"""decant step NAME: one step, as DVC runs it (`python -m components NAME`)."""

import ast
from pathlib import Path
from typing import Any

import click

from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS, artifact_folder, load_step


class StepGroup(click.Group):
    """One command per step, made from its ports; only the named step is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The steps in the order of the flow."""
        return list(STEPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a step, None for an unknown name."""
        if cmd_name not in STEPS:
            return None
        step = load_step(cmd_name)
        ports = [(port, "folder to read") for port in step.input_ports]
        ports += [(port, "folder to write") for port in step.output_ports]
        options: list[click.Parameter] = [
            click.Option(
                [f"--{port}"],
                type=click.Path(path_type=Path),
                default=Path(artifact_folder(port)),
                show_default=True,
                help=text,
            )
            for port, text in ports
        ]
        options.append(
            click.Option(
                ["--params"],
                type=click.Path(path_type=Path),
                default=Path("params.yaml"),
                show_default=True,
                help="file with a section per step",
            )
        )
        options.append(
            click.Option(
                ["--set", "overrides"], multiple=True, help="SECTION.KEY=VALUE, repeatable"
            )
        )

        def callback(params: Path, overrides: tuple[str, ...], **ports: Path) -> None:
            _run(cmd_name, params, overrides, ports)

        return click.Command(cmd_name, params=options, callback=callback, help=_summary(cmd_name))


def _summary(name: str) -> str:
    """What the step does, from its source: to import it loads what it computes with."""
    source = (PROJECT / "components" / name / "step.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _run(name: str, file: Path, overrides: tuple[str, ...], ports: dict[str, Any]) -> None:
    from decant.runner.run_step import run_step
    from decant.runtime.params_file import read_params_file, section_of

    content = read_params_file(file, overrides)
    run_step(name, section_of(content, name, load_step(name).params), ports)


@click.command("step", cls=StepGroup, context_settings={"help_option_names": ["-h", "--help"]})
def step_command() -> None:
    """Run one step of the pipeline."""
