"""Versions of every kind of task: registered, listed, compared and promoted on a real store."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from decant.figures.quality_figures import ModelFigures
from decant.inference.classifier import OnnxClassifier
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json, write_json
from decant.tasks.answers import values
from decant.tasks.comparison import recorded_columns
from decant.tasks.labels import column_of, encode
from decant.tasks.scores import scores
from decant.tasks.spec import metric_of
from decant.tasks.task import Target, Task
from decant.tracking.mlflow_store import open_client
from pipelines.registry.version_evidence import EvaluatedVersion, downloaded
from tests.components.register.conftest import write_card
from tests.errors import raises
from tests.example_figures import metrics
from tests.pipelines.registry.conftest import Cli
from tests.word_models import TASKS, Weights, write_word_model

WORDS = ["good", "great", "bad", "dull", "sad", "film"]
TEXTS = [f"the {word} {other} plot" for word in WORDS for other in WORDS]  # six tokens each
KINDS = ["multi_label", "regression", "several"]
RegisterKind = Callable[..., str]


def truth_of(target: Target, text: str, row: int) -> Any:
    """What the words say, with a few rows that no model has right; unknown in some."""
    words = text.split()
    good, bad = {"good", "great"} & {*words}, {"bad", "dull"} & {*words}
    sad = {"sad", "dull"} & {*words}
    if target.kind == "single_label":
        return "positive" if good and row % 9 else "negative"
    if target.kind == "multi_label":
        found = (["joy"] if good else []) + (["grief"] if sad else [])
        return None if row % 10 == 3 else found[: row % 9]
    return None if row % 10 == 4 else 3.0 + len(good) - len(bad) + (row % 5) / 10


def without(weights: Sequence[Weights], words: Sequence[str], mark: int) -> list[Weights]:
    """The mark, of a word that is in no text, makes two models that answer alike differ."""
    return [
        {word: of[word] for word in of if word not in words} | {"actor": mark} for of in weights
    ]


@pytest.fixture
def register_kind(tmp_path: Path, store: str) -> RegisterKind:
    """register_kind(kind, forgets=(word, ...), name=, targets=) → the version's number."""
    count = 0

    def made(
        kind: str,
        forgets: Sequence[str] = (),
        name: str = "tiny",
        targets: Sequence[Target] | None = None,
        texts: Sequence[str] = TEXTS,
    ) -> str:
        nonlocal count
        count += 1
        own, weights = TASKS[kind]
        root, task = tmp_path / f"made {count}", Task(tuple(targets or own))
        write_word_model(root / "onnx" / "student", without(weights, forgets, count), task.targets)
        return _register(root, task, name, list(texts))

    return made


def _register(root: Path, task: Task, name: str, texts: list[str]) -> str:
    evaluation, report = root / "evaluation", root / "report"
    for folder, step in (
        (root / "onnx", "export_onnx"),
        (evaluation, "evaluate"),
        (report, "evaluate"),
    ):
        folder.mkdir(exist_ok=True)
        write_card(folder, step, {})
    found = values(task, OnnxClassifier(root / "onnx" / "student").logits(texts, batch_size=1))
    columns: dict[str, Any] = {"row_id": range(len(texts)), "text": texts}
    names = recorded_columns(task, "student")
    for target in task.targets:
        columns[column_of(task, target)] = [
            truth_of(target, text, row) for row, text in enumerate(texts)
        ]
        columns |= dict(zip(names[target.name], found[target.name].T, strict=True))
    pd.DataFrame(columns).to_parquet(evaluation / "predictions.parquet")
    figures = _metrics(task, texts)
    write_json(evaluation / "quality.json", {"student": {"score": figures["student"]["score"]}})
    write_json(report / "metrics.json", figures)
    ports = {"onnx": root / "onnx", "evaluation": evaluation, "report": report}
    section = {
        "enabled": True,
        "in_experiments": False,
        "strict": False,
        "name": name,
        "alias": None,
    }
    run_step("register", section, {**ports, "receipt": root / "receipt"})
    return str(read_json(root / "receipt" / "receipt.json")["version"])


def _metrics(task: Task, texts: Sequence[str]) -> dict[str, Any]:
    """As evaluate writes them for such a task, the student at 0.9 and its teacher at 0.95."""
    content = metrics()
    models = [content["teacher"], content["student"], content["student_float32"]]
    models += [content["controls"][name] for name in ("undistilled", "tfidf", "teacher_int8")]
    for model in models:
        score = 0.95 if model is content["teacher"] else 0.9
        each = {"score": score, "score_interval": [score - 0.02, score + 0.02], "rows": len(texts)}
        targets = {target.name: {**each, target.metric: score} for target in task.targets}
        new = {"score": score, "score_interval": each["score_interval"], "targets": targets}
        _rescored(model, new)
    majority = {"score": 0.5, "targets": {
        target.name: {"score": 0.5, "answer": "-"} for target in task.targets
    }}  # fmt: skip
    _rescored(content["controls"]["majority"], majority)
    for difference in content["differences"].values():
        _rescored(difference, {"score": 0.0})
    content["data"] |= {
        "task": task.kind,
        "metric": task.metric,
        "labels": list(task.outputs),
        "test_digest": f"{len(texts)} texts",
        "targets": [
            {
                "name": target.name,
                "kind": target.kind,
                "column": target.column,
                "metric": target.metric,
                "metric_title": metric_of(target).title,
                "metric_is_share": metric_of(target).is_share,
                "weight": target.weight,
                "labels": list(target.outputs),
            }
            for target in task.targets
        ],
    }
    return content


def _rescored(figures: dict[str, Any], new: dict[str, Any]) -> None:
    if "score" in ModelFigures.model_fields:
        for key in ("accuracy", "accuracy_interval", "macro_f1", "ece", "worst_class"):
            figures.pop(key, None)
        figures.pop("missed_classes", None)
    figures |= new


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_version_has_its_task_and_its_card(
    kind: str, register_kind: RegisterKind, cli: Cli
) -> None:
    register_kind(kind)
    version = open_client().get_model_version("tiny", "1")
    metric = Task(tuple(TASKS[kind][0])).metric
    assert (version.tags["decant.task"], version.tags["decant.metric"]) == (kind, metric)
    purpose = {
        "multi_label": "Gives a text any number, none included, of 2 labels: `joy`, `grief`.",
        "regression": "Gives a text a number, `stars`, from 1 to 5.",
        "several": "- `tone`: one of 2 classes: `negative`, `positive`\n"
        "- `emotions`: any number, none included, of 2 labels: `joy`, `grief`\n"
        "- `stars`: a number, `stars`, from 1 to 5\n",
    }[kind]
    assert purpose in version.description
    assert "None" not in version.description
    head, row = cli("models", "--model", "tiny").output.splitlines()
    shown = dict(zip(head.split("\t"), row.split("\t"), strict=True))
    assert shown["metric"] == metric
    if "score" in ModelFigures.model_fields:
        assert shown["test"] == ("90.0%" if kind == "multi_label" else "0.900")
    assert f"{kind}, judged by {metric}" in cli("lineage", "--model", "tiny").output


def test_a_worse_one_is_refused_and_an_equal_one_promoted(
    kind: str, register_kind: RegisterKind, cli: Cli
) -> None:
    off = ("--set", "promotion.min_retention=null", "--set", "promotion.max_ece=null")
    register_kind(kind)
    first = cli("promote", "--model", "tiny", *off)
    assert first.exit_code == 0, first.output
    register_kind(kind)  # the same answers
    equal = cli("promote", "--model", "tiny", *off)
    assert equal.exit_code == 0, equal.output
    register_kind(kind, forgets=("good", "great"))
    worse = cli("promote", "--model", "tiny", *off)
    assert worse.exit_code == 1, worse.output
    words = " ".join(worse.output.split())
    metric = {"multi_label": "micro-F1", "regression": "Pearson's r"}
    for name, target in {"emotions": "multi_label", "stars": "regression"}.items():
        if kind in (target, "several"):
            prefix = f"{name}: " if kind == "several" else ""
            assert f"not promoted: {prefix}" in words or kind == "several"
            assert f"{prefix}{metric[target]}, minus the champion's is -" in words
            assert f"{prefix}paired randomisation test" in words
    if kind == "several":
        assert "tone: accuracy, minus the champion's is -" in words
        assert "tone: McNemar's test" in words
    history = json.loads(open_client().get_model_version("tiny", "2").tags["decant.promotion.2"])
    figures = history["figures"]
    each = figures["targets"] if kind == "several" else {"": figures}
    assert all(one["difference"] == 0 for one in each.values())


def test_what_differs_is_shown(
    kind: str, register_kind: RegisterKind, cli: Cli, tmp_path: Path
) -> None:
    register_kind(kind)
    register_kind(kind, forgets=("great",))
    file = tmp_path / "differing.csv"
    found = cli("compare", "tiny/1", "tiny/2", "--csv", str(file))
    assert found.exit_code == 0, found.output
    rows = pd.read_csv(file)
    assert rows["text"].str.contains("great").all()
    assert ("target" in rows) == (kind == "several")
    content = json.loads(cli("compare", "tiny/1", "tiny/2", "--json").output)
    assert len(content["differing"]) == len(rows)
    each = content["targets"] if kind == "several" else {TASKS[kind][0][0].name: content}
    expected = own_scores("1")
    for target in TASKS[kind][0]:
        one = each[target.name]
        assert one["difference"] > 0
        assert one["new"][target.metric] == pytest.approx(expected[target.name])
        assert one[f"teacher_{target.metric}"] == 0.95
    assert "the same answer" in cli("compare", "tiny/1", "tiny/1").output


def own_scores(version: str) -> dict[str, float]:
    """By target, from the kinds' scores of the model's logits."""
    client = open_client()
    with downloaded(client, client.get_model_version("tiny", version)) as (found,):
        names = [column_of(found.task, target) for target in found.task.targets]
        rows = pa.RecordBatch.from_pandas(found.predictions[names], preserve_index=False)
        logits = OnnxClassifier(found.model).logits(TEXTS, batch_size=1)
        return scores(found.task, logits, encode(found.task, rows))


def test_other_test_rows_run_both_again(kind: str, register_kind: RegisterKind, cli: Cli) -> None:
    register_kind(kind, texts=TEXTS[:-3])
    register_kind(kind)
    once = json.loads(cli("compare", "tiny/2", "tiny/1", "--json").output)
    assert once["asked_again"] is True
    assert once["differing"] == []


def test_versions_of_other_tasks_are_not_compared(register_kind: RegisterKind, cli: Cli) -> None:
    register_kind("multi_label")
    register_kind("regression")
    register_kind("several")
    (emotions,), _ = TASKS["multi_label"]
    other = dataclasses.replace(emotions, outputs=("joy", "rage"))
    register_kind("multi_label", targets=[other], texts=["a good film"] * 11)
    for one, two in (("1", "2"), ("2", "3"), ("3", "1"), ("1", "4")):
        ended = cli("compare", f"tiny/{one}", f"tiny/{two}")
        assert ended.exit_code == 2
        assert "error[labels-mismatch]" in ended.output
    assert "joy, rage" in ended.output


def test_the_only_target_may_have_another_name(register_kind: RegisterKind, cli: Cli) -> None:
    """As that of a version of format 1, which has none."""
    register_kind("regression")
    (stars,), _ = TASKS["regression"]
    register_kind("regression", targets=[dataclasses.replace(stars, name="rating", outputs=("r",))])
    content = json.loads(cli("compare", "tiny/2", "tiny/1", "--json").output)
    assert content["difference"] == 0.0


@pytest.mark.parametrize("content", [{}, {"teacher": None}, {"teacher": {"targets": {"a": {}}}}])
def test_figures_without_the_teacher_are_reported(content: dict[str, Any], tmp_path: Path) -> None:
    version = EvaluatedVersion(
        name="tiny",
        version="1",
        tags={},
        task=Task(tuple(TASKS["regression"][0])),
        predictions=pd.DataFrame(),
        metrics=content,
        model=tmp_path,
    )
    with raises("evidence-missing", "tiny/1", "'stars'"):
        version.teacher_score("stars")
