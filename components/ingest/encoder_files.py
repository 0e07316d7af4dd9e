"""Copies and checks an encoder in a process of its own, whose memory ends with it.

The check builds the model, for which it imports torch and transformers: some 450 MB that a process
never gives back, and that the rows of a large corpus need.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from decant.models.encoder import copy_encoder
from decant.runtime.ending import exit_on_error
from decant.runtime.errors import UserError
from decant.runtime.parent_watch import children_end_with_this, end_with_parent
from decant.runtime.system_errors import as_user_error


def encoder_files(source: Path, target: Path) -> list[str]:
    """`copy_encoder`, in a process of its own unless this one has torch already.

    Raises:
        UserError: this is not a usable BERT-family encoder, or the process was killed.
        RuntimeError: the process failed; what it wrote is on standard error.
    """
    if "torch" in sys.modules:
        return copy_encoder(source, target)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
    with children_end_with_this():  # else it would write on into what the next run cleans up
        done = subprocess.run(
            [sys.executable, "-m", __name__, source, target],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **paths},
            check=False,
        )
    if done.returncode < 0:
        raise UserError(
            f"the check of {source} was ended by signal {-done.returncode}",
            code="process-failed",
            hint="9 is often a lack of memory",
        )
    if done.returncode:
        raise RuntimeError(f"the check of {source} ended with code {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if isinstance(answer, dict):
        raise UserError.from_json(answer)
    return [str(fact) for fact in answer]


def _main(source: str, target: str) -> None:
    """Print the facts as a JSON list, or the error as an object, in the last line."""
    end_with_parent()
    try:
        print(json.dumps(copy_encoder(Path(source), Path(target))))
    except Exception as error:
        problem = error if isinstance(error, UserError) else as_user_error(error)
        if problem is None:
            raise
        print(json.dumps(problem.as_json()))


if __name__ == "__main__":
    with exit_on_error():  # nobody may read it any more
        _main(*sys.argv[1:])
