"""`decant study` over labels, numbers and several targets, with the real steps on tiny data."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.metrics import f1_score

from benchmarks.study.command import study_command
from decant.inference.classifier import OnnxClassifier
from decant.runtime.identity import canonical_json
from tests.tiny import NEGATIVE, NEUTRAL, POSITIVE

TOPICS = ("plot", "actor", "scene")
DATA: dict[str, dict[str, Any]] = {
    "labels": {"task": "multi_label", "label_column": "topics"},
    "numbers": {"task": "regression", "label_column": "stars"},
    "both": {
        "targets": [
            {"name": "topics", "kind": "multi_label"},
            {"name": "stars", "kind": "regression", "weight": 0.5},
        ]
    },
}

pytestmark = pytest.mark.slow


def rows(count: int) -> list[dict[str, Any]]:
    """Distinct texts with topics and stars, of which about a tenth is unknown."""
    draw = random.Random(3)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < count:
        good = draw.randint(0, 4)
        words = draw.choices(POSITIVE, k=good) + draw.choices(NEGATIVE, k=4 - good)
        words += draw.choices(NEUTRAL, k=4)
        labels: dict[str, Any] = {
            "topics": [topic for topic in TOPICS if topic in words],
            "stars": 1.0 + good,
        }
        unknown = {name: None for name in labels if draw.random() < 0.1}
        found[" ".join(words)] = {**labels, **unknown}
    return [{"text": text, **labels} for text, labels in found.items()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_params: dict[str, Any]) -> Path:
    """The output folder of one seed without variants, the latter costing time alone."""
    root = tmp_path_factory.mktemp("study")
    file = root / "data" / "rows.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(400)), "utf-8")
    params = json.loads(json.dumps(tiny_params))
    params["ingest"] |= {
        "source": str(file),
        "local_corpus": str(file.parent),
        "group_by": None,
        "label_budget": 150,
    }
    params["finetune"]["training"]["epochs"] = 3
    params["distill"] |= {"transfer_rows": 300, "epoch_rows": 3000}
    for role in ("student", "teacher"):
        params["export_onnx"]["quantisation"][role]["forms"] = []
    study = {
        "seeds": [1],
        "latency_bounds": [0.9],
        "model2vec": {"dimensions": 16, "sif_coefficient": 0.0001},
        "data": {name: {"ingest": ingest} for name, ingest in DATA.items()},
        "variants": [],
    }
    (root / "params.yaml").write_text(canonical_json(params), "utf-8")
    (root / "study.yaml").write_text(json.dumps(study), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        options = ["--params", str(root / "params.yaml"), "--study", str(root / "study.yaml")]
        found = CliRunner().invoke(
            study_command,
            [*options, "--output", str(root / "out"), "--jobs", "2"],
            catch_exceptions=False,
        )
    assert found.exit_code == 0
    return root / "out"


def table(finished: Path, data: str) -> pd.DataFrame:
    found = pd.read_csv(finished / "study.csv").fillna({"variant": ""})
    return found[found["data"] == data].set_index("model")


def rows_of_test(finished: Path, data: str) -> pd.DataFrame:
    """Those of a data set's corpus."""
    columns = {"labels": "list", "numbers": "float", "both": "several"}
    for corpus in (finished / "store" / "ingest").glob("*/corpus"):
        found = pd.read_parquet(corpus / "test.parquet")
        several = "label.stars" in found
        of = "several" if several else "float" if found["label"].dtype == float else "list"
        if of == columns[data]:
            return found
    raise AssertionError(data)


def test_every_model_of_every_kind_is_in_the_table(finished: Path) -> None:
    for data in DATA:
        found = table(finished, data)
        models = {"student", "undistilled", "teacher", "tfidf", "model2vec", "constant"}
        alone = {f"alone/{name}" for name in ("topics", "stars")} if data == "both" else set()
        assert set(found.index) == models | alone
        assert (found.loc[["student", "teacher", "tfidf"], "end_to_end_latency_us"] > 0).all()
        assert found.loc["student", "retention"] == pytest.approx(
            found.loc["student", "test_score"] / found.loc["teacher", "test_score"], abs=1e-4
        )
    assert table(finished, "labels")["metric"].unique() == ["micro_f1"]
    assert table(finished, "both")["metric"].unique() == ["micro_f1+pearson"]
    assert not list(finished.glob("rows-*.parquet"))


def test_scores_are_what_an_own_count_of_the_models_answers_gives(finished: Path) -> None:
    """With the thresholds of the exported model, over the rows whose label is known."""

    def micro_f1(answers: list[Any], truth: pd.Series) -> float:
        known = [index for index, value in enumerate(truth) if value is not None]
        sets = [[set(answers[i].labels), set(truth.iloc[i])] for i in known]
        one, other = ([[t in row[k] for t in TOPICS] for row in sets] for k in (0, 1))
        return float(f1_score(other, one, average="micro"))

    def pearson(answers: list[Any], truth: pd.Series) -> float:
        known = truth.notna().to_numpy()
        given = np.array([answer.value for answer in answers])
        return float(pearsonr(given[known], truth[known].astype(float))[0])

    for model in ("student", "teacher"):
        of: dict[str, tuple[list[Any], pd.DataFrame]] = {}
        for data in DATA:
            test = rows_of_test(finished, data)
            classifier = OnnxClassifier(table(finished, data).loc[model, "folder"])
            of[data] = classifier.predict(test["text"].tolist(), batch_size=32), test
        reached = {data: table(finished, data).loc[model, "test_score"] for data in DATA}
        answers, test = of["labels"]
        assert reached["labels"] == pytest.approx(micro_f1(answers, test["label"]), abs=1e-4)
        answers, test = of["numbers"]
        assert reached["numbers"] == pytest.approx(pearson(answers, test["label"]), abs=1e-4)
        answers, test = of["both"]
        topics = micro_f1([answer["topics"] for answer in answers], test["label.topics"])
        stars = pearson([answer["stars"] for answer in answers], test["label.stars"])
        assert reached["both"] == pytest.approx((topics + 0.5 * stars) / 1.5, abs=1e-4)


def test_the_logits_of_a_graph_are_where_the_table_says(finished: Path) -> None:
    row = table(finished, "numbers").loc["student"]
    texts = rows_of_test(finished, "numbers")["text"].tolist()
    with np.load(row["logits"]) as saved:
        logits = OnnxClassifier(row["folder"]).logits(texts, batch_size=saved["test"].shape[0])
        np.testing.assert_allclose(saved["test"], logits, atol=1e-5)


def test_each_target_is_also_compared_with_its_own_student(finished: Path) -> None:
    found = pd.read_csv(finished / "targets.csv").set_index(["model", "target"])
    assert set(found["data"]) == {"both"}
    page = (finished / "study.md").read_text("utf-8")
    assert "learned together with the others and alone" in page
    for target in ("topics", "stars"):
        joint, own = (found.loc[(m, target), "test_score"] for m in ("student", f"alone/{target}"))
        assert own == pytest.approx(table(finished, "both").loc[f"alone/{target}", "test_score"])
        line = next(line for line in page.splitlines() if f"| default | {target} |" in line)
        unit = 100 if target == "topics" else 1
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert float(cells[3]) == pytest.approx(unit * joint, abs=0.051)
        assert float(cells[7].split()[0]) == pytest.approx(unit * (joint - own), abs=0.051)
    assert ("alone/topics", "stars") not in found.index


def test_the_page_names_the_metrics_and_has_no_mean_of_different_ones(finished: Path) -> None:
    page = (finished / "study.md").read_text("utf-8")
    assert "There is no mean over the data sets: they are judged by different metrics." in page
    assert "## Mean of" not in page
    assert "The default student reaches a micro-F1 of" in page
    assert "The default student reaches a Pearson's r of 0." in page
    assert "micro-F1 of topics (weight 1), Pearson's r of stars (weight 0.5)" in page
    assert "accuracy" not in page.replace("accuracy_latency.png", "")
