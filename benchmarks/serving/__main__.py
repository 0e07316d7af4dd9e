"""python -m benchmarks.serving: measure the servers of a model on this machine."""

from benchmarks.serving.command import serving_command
from decant.runtime.ending import exit_on_error

if __name__ == "__main__":
    with exit_on_error():
        serving_command()
