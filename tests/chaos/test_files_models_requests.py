"""A few attacks of the families that need no processes: `make chaos` makes them all."""

import json
import time
from pathlib import Path

import pytest

from tests.chaos.attack import Attempt, Ended, Outcome, numbers
from tests.chaos.campaign import Campaign, Result, load
from tests.chaos.command import environment
from tests.chaos.families import artifacts, models, odd_files, requests
from tests.chaos.families._bad_requests import SOUND, Sent
from tests.chaos.unharmed import Unharmed, run_unharmed

SEED = 13


def attack_a_few(family: str, number: int) -> list[Outcome]:
    results: list[Result] = []
    share = number / load(family).COUNT
    Campaign(seed=SEED, deadline=time.monotonic() + 3600, share=share).run([family], results)
    (result,) = results
    assert len(result.records) == number
    faults = [record for record in result.records if record.outcome.is_fault]
    assert not faults, faults
    return [record.outcome for record in result.records]


def test_models_from_strangers() -> None:
    assert {*attack_a_few("models", 60)} == {Outcome.MESSAGE, Outcome.SURVIVED}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "number"), [("odd_files", 30), ("encoders", 20), ("requests", 40)]
)
def test_a_few_of_each_family(family: str, number: int) -> None:
    assert Outcome.MESSAGE in attack_a_few(family, number)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Unharmed:
    """The two steps that take the least, without harm."""
    return run_unharmed(tmp_path_factory.mktemp("unharmed"), ("ingest", "tokenize"))


@pytest.mark.slow
def test_damaged_artifacts(
    begun: Unharmed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another run there are here the same files: to swap them is no harm."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    made: list[Attempt] = []
    for number in range(40):
        own = tmp_path / str(number)
        own.mkdir()
        rng = numbers(SEED, "artifacts", number)
        made.append(artifacts.attacked(rng, "tokenize", begun, begun.root, own))
    assert not [one for one in made if one.outcome.is_fault]
    assert {one.outcome for one in made} == {Outcome.MESSAGE, Outcome.SURVIVED}
    assert any("written again" in one.done and one.ended.code for one in made)


@pytest.mark.slow
def test_a_wrong_result_of_a_step_is_found(begun: Unharmed, tmp_path: Path) -> None:
    inputs = begun.copy_inputs("tokenize", tmp_path / "inputs")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    ended = artifacts.run_here("tokenize", begun, inputs, outputs)
    assert not artifacts.wrong("tokenize", begun, inputs, outputs, ended)
    (outputs / "tokens" / "test.arrow").write_bytes(b"other")
    artifacts.reseal(outputs, "tokens")
    assert "test.arrow" in artifacts.wrong("tokenize", begun, inputs, outputs, ended)
    assert "tokens" in artifacts.wrong(
        "tokenize", begun, inputs, outputs, Ended(code=2, output="no")
    )


def test_another_answer_of_a_model_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with models.arena(tmp_path) as attack:
        monkeypatch.setattr(models, "_predicted", lambda model: Ended(code=0, output='{"a": 1}'))
        monkeypatch.setattr(models, "_answered", lambda model: Ended(code=0, output=""))
        (tmp_path / "own").mkdir()
        assert attack(numbers(SEED, "models", 0), tmp_path / "own").outcome == Outcome.SILENT


PREDICTIONS = [{"label": "positive"}] * len(SOUND)
TENSORS = {"model_name": "m", "outputs": [{"name": "label", "data": ["positive"] * len(SOUND)}]}


@pytest.mark.parametrize(
    ("status", "content", "may_be_answered", "wrong"),
    [
        ("200 OK", {"predictions": PREDICTIONS}, True, ""),
        ("200 OK", {"predictions": PREDICTIONS[1:]}, True, "other answers"),
        ("200 OK", {"predictions": PREDICTIONS}, False, "a bad request was answered"),
        ("200 OK", TENSORS, True, ""),
        ("200 OK", TENSORS, False, "bad tensors were answered"),
        ("200 OK", TENSORS | {"outputs": [{"name": "label", "data": []}]}, True, "other answers"),
        ("400 Bad Request", {"message": "row 0"}, False, ""),
        ("400 Bad Request", None, False, "without a word"),
        ("500 Internal Server Error", {"message": "no"}, False, "status 500"),
        ("503 Service Unavailable", {"message": "later"}, False, ""),
    ],
)
def test_a_wrong_answer_of_the_server_is_found(
    status: str, content: object, may_be_answered: bool, wrong: str
) -> None:
    body = b"" if content is None else json.dumps(content).encode()
    answer = f"HTTP/1.1 {status}\r\n\r\n".encode() + body
    sent = Sent(done="a request", parts=[], may_be_answered=may_be_answered)
    found = requests.wrong_in(sent, answer, PREDICTIONS)
    assert wrong in found and bool(wrong) == bool(found)


def test_a_row_that_ingest_loses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.odd_files._ingested", lambda section, folder: (9, 5, 3))
    made = odd_files.attacked(numbers(SEED, "odd_files", 0))
    assert made.outcome == Outcome.SILENT and made.wrong
