"""decant COMMAND ... (python -m pipelines COMMAND ...): the command line."""

import importlib
from importlib.metadata import version
from typing import Any

import click

from decant.runtime.ending import exit_on_error
from decant.runtime.secrets import without_secrets

# Name and one line of help, in the order of a project. Each is a file of pipelines/commands with a
# `<name>_command`, a dash written as an underscore. The lines are here so that `decant --help`
# imports no command.
COMMANDS = {
    "init": "Look at your data and write the parameters that fit it.",
    "run": "Run the whole pipeline on this machine.",
    "step": "Run one step of the pipeline.",
    "predict": "Classify texts, lines or a file.",
    "models": "Show registered models and their versions.",
    "compare": "Compare two versions on the same test rows.",
    "promote": "Move an alias to a version that passes the gate.",
    "rollback": "Move an alias back.",
    "lineage": "Show what a version was made from.",
    "reproduce": "Make a version again and compare its digests.",
    "deploy-manifest": "Write a Kubernetes manifest that serves a model.",
    "sync": "Send spooled runs to MLflow.",
    "relocate": "Correct the local MLflow store after its folder was moved.",
    "compile": "Write the package for a Kubeflow cluster.",
    "doctor": "Check what a run on a cluster needs.",
    "submit": "Start a run on a cluster.",
    "follow": "Watch a run on a cluster.",
    "list": "Show runs and schedules on a cluster.",
    "stop": "End a run, or switch off a schedule.",
    "schedule": "Start runs on a cluster at set times.",
    "study": "Compare variants of the student, with controls.",
}

# Commands that are elsewhere.
_MODULES = {"step": "decant.runner.step_command", "study": "benchmarks.study.command"}


class CommandGroup(click.Group):
    """A command is imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(_MODULES.get(cmd_name, f"pipelines.commands.{name}"))
        command: click.Command = getattr(module, f"{name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Click's own errors quote the arguments."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error).update(message=without_secrets(error.message))
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command("decant", cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("decant"), prog_name="decant")
def main() -> None:
    """Pour what a BERT knows into a small, fast model: prepare, run, evaluate, promote, serve."""


def entry() -> None:
    with exit_on_error():
        main()


if __name__ == "__main__":
    entry()
