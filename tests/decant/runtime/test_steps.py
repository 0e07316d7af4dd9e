import pytest

from decant.runtime.steps import STEPS, declared_ports, load_step, steps_behind


@pytest.mark.parametrize("step", STEPS)
def test_the_ports_in_the_source_are_those_of_the_classes(step: str) -> None:
    loaded = load_step(step)
    assert declared_ports(step) == (loaded.input_ports, loaded.output_ports)


def test_the_steps_behind_a_step_are_those_whose_outputs_it_reads_directly_or_not() -> None:
    assert steps_behind("ingest") == ()
    assert steps_behind("finetune") == ("ingest", "tokenize")
    assert steps_behind("register") == STEPS[: STEPS.index("register")]


def test_a_step_that_nothing_reads_is_behind_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {"read": ((), ("text",)), "aside": (("text",), ("note",)), "write": (("text",), ())}
    monkeypatch.setattr("decant.runtime.steps.STEPS", tuple(ports))
    monkeypatch.setattr("decant.runtime.steps.declared_ports", ports.__getitem__)
    assert steps_behind("write") == ("read",)
