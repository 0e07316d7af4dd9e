"""python -m benchmarks.study: the same as `decant study`."""

from benchmarks.study.command import study_command
from decant.runtime.command_line import mistakes_shown

if __name__ == "__main__":
    with mistakes_shown():
        study_command()
