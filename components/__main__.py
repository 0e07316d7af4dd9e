"""python -m components STEP: one step, as DVC calls it; the same as `decant step STEP`."""

from decant.runner.step_command import step_command
from decant.runtime.command_line import mistakes_shown

if __name__ == "__main__":
    with mistakes_shown():
        step_command()
