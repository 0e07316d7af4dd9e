"""models and compare on a real store."""

import json
from datetime import UTC, datetime
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from decant.tracking.mlflow_store import open_client
from pipelines.commands.models import age
from pipelines.commands.predict import load_model
from tests.errors import raises
from tests.pipelines.registry.conftest import Cli, Register
from tests.tiny import POSITIVE


def test_the_table_of_versions(register: Register, cli: Cli) -> None:
    register()
    register(forgets=("lovely",))
    cli("promote", "--model", "tiny", "--version", "1", "--reason", "why not")
    head, newest, oldest, history = cli("models", "--model", "tiny").output.splitlines()
    columns = head.split("\t")
    two, one = (dict(zip(columns, row.split("\t"), strict=True)) for row in (newest, oldest))
    assert (two["version"], two["aliases"], two["test"]) == ("2", "", "93.8%")
    assert (one["version"], one["aliases"], one["test"]) == ("1", "champion", "100.0%")
    assert (one["gate"], one["times faster"], one["age"]) == ("passed", "50.0", "0 min")
    assert one["commit"] == open_client().get_model_version("tiny", "1").tags["decant.commit"][:12]
    assert "ada made version 1 of tiny champion: why not" in history
    # the history is a registered model too, but none of the user's
    assert {row.split("\t")[0] for row in cli("models").output.splitlines()} == {"model", "tiny"}


def test_every_command_names_a_version_alike(register: Register, cli: Cli, tmp_path: Path) -> None:
    register()
    register(forgets=("lovely",))
    open_client().set_registered_model_alias("tiny", "champion", "1")
    served = ("--output", str(tmp_path / "serving.yaml"), "--tracking-uri", "http://mlflow")
    rival = ("--to", "rival", "--dry-run")
    for form in ("tiny/1", "tiny@champion", "models:/tiny/1", "models:/tiny@champion"):
        (row,) = cli("models", "--model", form).output.splitlines()[1:]
        assert row.split("\t")[:2] == ["tiny", "1"]
        assert json.loads(cli("lineage", "--model", form, "--json").output)["version"] == "1"
        promoted = cli("promote", "--model", form, *rival)
        assert "would make version 1 of tiny rival" in promoted.output
        back = cli("rollback", "--model", form, "--reason", "r", *rival)
        assert "would give rival of tiny from version None to 1" in back.output
        assert json.loads(cli("compare", form, "tiny/2", "--json").output)["a"] == "tiny/1"
        manifest = cli("deploy-manifest", "--model", form, *served)
        assert "the model is models:/tiny/1" in manifest.output
    for words in (
        ("models", "--model"),
        ("lineage", "--model"),
        ("reproduce", "--model"),
        ("promote", "--model"),
        ("rollback", "--reason=r", "--model"),
        ("compare", "tiny/1"),
        ("deploy-manifest", *served, "--model"),
        ("predict", "a text", "--model"),
    ):
        refused = cli(*words, "models:/tiny/latest")
        assert refused.exit_code == 2
        problem = "error[model-reference-invalid]: 'models:/tiny/latest' does not name"
        assert problem in refused.output, words


@pytest.mark.parametrize(
    ("minutes", "shown"), [(0.9, "0 min"), (59, "59 min"), (47 * 60, "47 h"), (49 * 60, "2 d")]
)
def test_ages(minutes: float, shown: str) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert age(int((now.timestamp() - minutes * 60) * 1000), now=now) == shown


def test_the_texts_on_which_two_versions_differ(
    register: Register, cli: Cli, tmp_path: Path
) -> None:
    register()
    register(forgets=("lovely",))
    register(forgets=("lovely", "clever"))
    file = tmp_path / "differing.csv"
    found = cli("compare", "tiny/2", "models:/tiny/3", "--csv", str(file))
    assert found.exit_code == 0, found.output
    assert "they differ on 5 rows" in found.output
    assert "A - B +6.25%" in found.output
    assert "McNemar p = 0.0625 (5 right only by A, 0 only by B)" in found.output
    rows = pd.read_csv(file)
    assert rows["text"].str.contains("clever").all()
    assert (
        rows[["label", "new", "old"]].to_numpy().tolist()
        == [["positive", "positive", "negative"]] * 5
    )
    assert rows["new_probability"].is_monotonic_decreasing

    content = json.loads(cli("compare", "tiny/3", "tiny/2", "--json").output)
    assert content["difference"] == pytest.approx(-5 / 80)
    assert (content["a"], content["only_old"], len(content["differing"])) == ("tiny/3", 5, 5)
    assert "same label" in cli("compare", "tiny/1", "tiny/1").output


def test_a_class_that_one_of_two_versions_misses(register: Register, cli: Cli) -> None:
    register()
    register(forgets=POSITIVE)  # a tie of words is the first class
    output = cli("compare", "tiny/2", "tiny/1").output
    assert "A has none right of 'positive' (40 test rows); B has" in output
    (worst,) = (line for line in output.splitlines() if line.startswith("recall of the worst"))
    assert worst.split() == [
        *("recall", "of", "the", "worst", "class"),
        *("0.0%", "(positive)", "100.0%", "(negative)"),
    ]
    other = json.loads(cli("compare", "tiny/1", "tiny/2", "--json").output)
    assert other["new"]["lost_classes"] == {}
    assert other["old"]["lost_classes"] == {"positive": 40}
    assert other["old"]["worst_class"] == {"label": "positive", "recall": 0.0, "test_rows": 40}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("compare", "tiny", "tiny/1"), "error[model-reference-invalid]: 'tiny'"),
        (
            ("compare", "tiny/9", "tiny/1"),
            "error[model-version-unknown]: there is no models:/tiny/9",
        ),
        (
            ("compare", "tiny@champion", "tiny/1"),
            "error[model-version-unknown]: there is no models:/tiny@champion",
        ),
        (
            ("compare", "other/1", "tiny/1"),
            "error[model-unknown]: there is no registered model 'other'",
        ),
        (
            ("promote", "--model", "other"),
            "error[model-unknown]: there is no registered model 'other'",
        ),
        (("promote", "--model", "tiny", "--version", "9"), "[model-version-unknown]"),
        (
            ("promote", "--model", "tiny@rival"),
            "error[model-version-unknown]: there is no models:/tiny@rival that is ready",
        ),
        (
            ("rollback", "--model", "models:/tiny/9", "--reason", "r"),
            "error[model-version-unknown]: version 9 of tiny does not exist any more",
        ),
        (
            ("promote", "--model", "tiny/1", "--version", "1"),
            "error[option-conflict]: the version of tiny is named more than once: 1, 1",
        ),
        (("promote", "--model", "tiny", "--set", "promotion.max_ece=2"), "promotion.max_ece"),
        (("rollback", "--model", "tiny", "--reason", "r"), "[rollback-impossible]"),
        (
            ("models", "--model", "other"),
            "error[model-unknown]: there is no registered model 'other'",
        ),
    ],
)
def test_mistakes_are_reported(
    register: Register, cli: Cli, arguments: tuple[str, ...], problem: str
) -> None:
    register()
    ended = cli(*arguments)
    assert ended.exit_code == 2
    assert problem in ended.output


def test_a_version_without_evidence(register: Register, cli: Cli) -> None:
    register()
    client = open_client()
    old = client.get_model_version("tiny", "1")
    run = client.create_run(client.get_run(old.run_id).info.experiment_id)
    client.create_model_version("tiny", old.source, run_id=run.info.run_id)
    ended = cli("promote", "--model", "tiny", "--version", "2")
    assert ended.exit_code == 2
    assert "error[evidence-missing]: tiny/2" in ended.output


def test_no_store_and_no_server(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    assert "there is no tracking store" in cli("models").output
    assert not (tmp_path / "none.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:s3cret@127.0.0.1:9")
    ended = cli("models")
    assert ended.exit_code == 2
    assert "no answer from 127.0.0.1:9" in ended.output
    assert "s3cret" not in ended.output


def test_a_csv_that_cannot_be_written_is_reported(
    register: Register, cli: Cli, tmp_path: Path
) -> None:
    register()
    (tmp_path / "file").touch()
    for place, code in (("new folder/a.csv", 0), ("file/a.csv", 2), (".", 2)):
        ended = cli("compare", "tiny/1", "tiny/1", "--csv", str(tmp_path / place))
        assert ended.exit_code == code, ended.output
        assert ("cannot write" in ended.output) == (code == 2)


def test_predict_refuses_a_model_that_decant_did_not_register(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "foreign.py"
    script.write_text(
        "import mlflow.pyfunc\n"
        "class Foreign(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, model_input: list[str]) -> list[str]:\n"
        "        return model_input\n"
        "mlflow.models.set_model(Foreign())\n"
    )
    folder = tmp_path / "foreign"
    mlflow.pyfunc.save_model(folder, python_model=str(script), pip_requirements=[])
    client = MlflowClient(store)
    client.create_registered_model("foreign")
    client.create_model_version("foreign", folder.as_uri())
    with raises("model-foreign", "models:/foreign/1"):
        load_model("models:/foreign/1")
