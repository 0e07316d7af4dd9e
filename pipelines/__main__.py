"""python -m pipelines COMMAND ...: the pipeline as a whole, and the model that it made."""

import importlib

import click

from decant.runtime.errors import exit_on_user_error

# Each is a file of this package with a `<name>_command`, a dash written as an underscore.
COMMANDS = (
    "compile",
    "run",
    "study",
    "predict",
    "models",
    "compare",
    "promote",
    "rollback",
    "lineage",
    "reproduce",
    "sync",
    "deploy-manifest",
    "submit",
    "follow",
    "list",
    "stop",
    "schedule",
    "doctor",
)

# Those that lie elsewhere.
_MODULES = {"study": "benchmarks.study.command"}


class CommandGroup(click.Group):
    """A command's imports are paid only when it is named, or when help lists all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(_MODULES.get(cmd_name, f"pipelines.commands.{name}"))
        command: click.Command = getattr(module, f"{name}_command")
        return command


@click.command(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Compile the pipeline, run it here or on a cluster, use and deploy the model."""


def entry() -> None:
    with exit_on_user_error():
        main()


if __name__ == "__main__":
    entry()
