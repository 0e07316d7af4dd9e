"""lineage on a real store: what is recorded is shown, and what is not is said to be unknown."""

import dataclasses
import json
from pathlib import Path

from decant.runtime.artifacts import Card, write_json
from decant.tracking.mlflow_store import experiment_id, open_client
from tests.pipelines.registry.conftest import Cli, Register

COMMIT = "0123456789abcdef0123456789abcdef01234567"  # of no repository


def _bare_version(name: str, tags: dict[str, str] | None = None) -> None:
    """As another program, or Decant before it recorded anything, would have made it."""
    client = open_client()
    client.create_registered_model(name)
    client.create_model_version(name, "file:///nowhere", tags=tags)


def _ingest_run(folder: Path) -> str:
    """A finished run of ingest that logged its card, 90 s long."""
    client = open_client()
    tags = {"decant.code": "c" * 64, "mlflow.parentRunId": "an older execution"}
    run_id = client.create_run(experiment_id(client), tags=tags).info.run_id
    client.log_metric(run_id, "seconds", 90)
    card = Card(
        step="ingest",
        port="corpus",
        identity="i" * 64,
        varying=False,
        params={"source": "data/mine.csv", "encoder": "hf://one/bert@main"},
        inputs={"source": "sha256:" + "5" * 64, "encoder": "r" * 40},
        metrics={},
        versions={"numpy": "2.0"},
    )
    write_json(folder / "card.json", dataclasses.asdict(card))
    client.log_artifact(run_id, str(folder / "card.json"), "corpus")
    client.set_terminated(run_id)
    return str(run_id)


def test_nothing_is_invented_of_a_version_that_records_nothing(store: str, cli: Cli) -> None:
    _bare_version("old")
    found = cli("lineage", "--model", "old")
    assert found.exit_code == 0
    rows = {line[:14].strip(): line[14:].strip() for line in found.output.splitlines()[1:]}
    for key in ("commit", "parameters", "dvc.lock", "test rows", "evaluated on"):
        assert rows[key] == "not recorded", found.output
    assert "the version names no runs of steps" in found.output
    content = json.loads(cli("lineage", "--model", "old", "--json").output)
    assert (content["commit"], content["dirty"], content["steps"]) == ("", False, [])
    assert content["digests"] == content["pins"] == content["sources"] == {}


def test_a_run_shows_what_it_read_and_what_is_gone_is_gone(
    store: str, cli: Cli, tmp_path: Path
) -> None:
    run_id = _ingest_run(tmp_path)
    tags = {
        "decant.commit": f"{COMMIT}-dirty",
        "decant.run.ingest": run_id,
        "decant.run.finetune": "f" * 32,  # of another store, or deleted
        "decant.digest.corpus": "d" * 64,
    }
    _bare_version("half", tags)
    output = cli("lineage", "--model", "half").output
    assert f"{COMMIT}, which this repository does not have" in output
    assert "as committed" not in output, "the commit's parameters are not known here"
    assert "data/mine.csv" in output
    lines = [line.split() for line in output.splitlines()]
    ran, data = [line for line in lines if line[:1] == ["ingest"]]
    assert ran[1:3] == [run_id, "FINISHED"] and ran[-2:] == ["90", "s"]
    assert " ".join(data[1:]) == (f"encoder {'r' * 12}, source sha256:{'5' * 12} corpus {'d' * 12}")
    gone, unknown = [line for line in lines if line[:1] == ["finetune"]]
    assert gone[1:] == ["f" * 32, "gone"]
    assert unknown[1:] == ["not", "recorded", "not", "recorded"]
    ingest, finetune = json.loads(cli("lineage", "--model", "half", "--json").output)["steps"]
    assert ingest["inputs"] == {"source": "sha256:" + "5" * 64, "encoder": "r" * 40}
    assert ingest["artifacts"] == {"corpus": "d" * 64}, "a pin is no digest of the artifact"
    assert ingest["params"]["source"] == "data/mine.csv" and ingest["seconds"] == 90
    assert finetune["status"] == "" and finetune["params"] == {} and finetune["seconds"] is None


def test_a_version_is_named_by_number_by_alias_or_is_the_newest(
    register: Register, cli: Cli
) -> None:
    register()
    register(forgets=("lovely",))
    open_client().set_registered_model_alias("tiny", "champion", "1")

    def shown(*options: str, model: str = "tiny") -> str:
        content = json.loads(cli("lineage", "--model", model, "--json", *options).output)
        return str(content["version"])

    assert shown() == shown(model="models:/tiny") == "2"
    assert shown("--version", "1") == shown("--alias", "champion") == "1"
    for form in ("tiny/1", "tiny@champion"):
        assert shown(model=form) == shown(model=f"models:/{form}") == "1"
    both = cli("lineage", "--model", "tiny", "--version", "1", "--alias", "champion")
    assert both.exit_code == 2 and "[option-conflict]" in both.output
    wrong = cli("lineage", "--model", "tiny", "--version", "9")
    assert wrong.exit_code == 2 and "versions of tiny: 2, 1" in wrong.output


def test_parameters_of_unknown_steps_are_not_called_committed(register: Register, cli: Cli) -> None:
    register()  # only register has a run
    output = cli("lineage", "--model", "tiny").output
    assert "not recorded: ingest, tokenize, finetune" in output
