"""python -m benchmarks.study: the same as `decant study`."""

from benchmarks.study.command import study_command
from decant.runtime.ending import exit_on_error

if __name__ == "__main__":
    with exit_on_error():
        study_command()
