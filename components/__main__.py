"""python -m components STEP: one step, as DVC runs it; the same as `decant step STEP`."""

from decant.runner.step_command import step_command
from decant.runtime.ending import exit_on_error

if __name__ == "__main__":
    with exit_on_error():
        step_command()
