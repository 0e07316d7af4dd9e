"""python -m benchmarks.input: measure ingest and tokenize on many rows."""

from benchmarks.input.command import input_command
from decant.runtime.ending import exit_on_error

if __name__ == "__main__":
    with exit_on_error():
        input_command()
