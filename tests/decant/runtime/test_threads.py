"""The numbers of threads: asked of the libraries, and held by the steps that depend on them."""

import json
import os
import subprocess
import sys

import pytest

from decant.runtime.steps import STEPS, load_step
from decant.runtime.threads import BLAS, TORCH, in_words, threads_here

ASK = """
import json, sys
from decant.runtime.threads import threads_here
print(json.dumps([threads_here(("blas",)), "torch" in sys.modules, threads_here(("torch",))]))
"""


def test_a_process_has_what_its_environment_gives_it() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    blas, has_torch, torch = json.loads(asked.stdout)
    assert not has_torch, "what does without torch does not load it"
    assert torch == {"torch": 1}
    assert set(blas.values()) <= {1}


def test_the_library_is_asked_not_the_variable() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 2)
        assert threads_here((TORCH,)) == {"torch": before + 2}
    finally:
        torch.set_num_threads(before)
    assert threads_here(()) == {}


def test_words() -> None:
    assert in_words({"torch": 2, "blas": 4}) == "blas=4 torch=2"


def test_the_steps_that_compute_hold_them() -> None:
    """Measured: with 1 and 2 threads each writes other bytes, but export_onnx, which computes the
    same way."""
    assert {step: load_step(step).threads for step in STEPS} == {
        "ingest": (),
        "tokenize": (),
        "finetune": (TORCH,),
        "transfer_weights": (BLAS, TORCH),
        "distill": (BLAS, TORCH),
        "export_onnx": (BLAS, TORCH),
        "evaluate": (BLAS,),
        "register": (),
    }


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_step_sleep_while_they_wait(given: str | None, found: str) -> None:
    """OpenMP shows its settings when it is loaded, which is with PyTorch: after the step began."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from decant.runner.run_step import run_step\n"
        "from decant.runtime.errors import UserError\n"
        "try:\n"
        "    run_step('finetune', {}, {})\n"
        "except (UserError, KeyError, TypeError):\n"
        "    assert 'torch' not in sys.modules\n"
        "import torch\n"
    )
    variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    variables |= {"OMP_DISPLAY_ENV": "TRUE"} | ({"OMP_WAIT_POLICY": given} if given else {})
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
    )
    assert f"OMP_WAIT_POLICY = '{found}'" in done.stderr
