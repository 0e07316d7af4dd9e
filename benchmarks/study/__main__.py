"""python -m benchmarks.study: the same as `decant study`."""

from benchmarks.study.command import study_command
from decant.runtime.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():
        study_command()
