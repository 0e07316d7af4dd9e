import inspect
from types import SimpleNamespace

import pytest

from decant.runtime.reporter import Reporter
from decant.runtime.steps import STEPS, load_step, steps_behind


@pytest.mark.parametrize("step", STEPS)
def test_a_step_runs_what_its_contract_declares(step: str) -> None:
    loaded = load_step(step)
    annotations = inspect.get_annotations(loaded.run, eval_str=True)
    declared = (loaded.params, loaded.inputs, loaded.outputs, Reporter)
    assert (*annotations.values(),) == (*declared, None)


def test_the_steps_behind_a_step_are_those_whose_outputs_it_reads_directly_or_not() -> None:
    assert steps_behind("ingest") == ()
    assert steps_behind("finetune") == ("ingest", "tokenize")
    assert steps_behind("register") == STEPS[: STEPS.index("register")]


def test_a_step_that_nothing_reads_is_behind_none(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {
        "read": SimpleNamespace(input_ports=(), output_ports=("text",)),
        "aside": SimpleNamespace(input_ports=("text",), output_ports=("note",)),
        "write": SimpleNamespace(input_ports=("text",), output_ports=()),
    }
    monkeypatch.setattr("decant.runtime.steps.STEPS", tuple(steps))
    monkeypatch.setattr("decant.runtime.steps.load_step", steps.__getitem__)
    assert steps_behind("write") == ("read",)
