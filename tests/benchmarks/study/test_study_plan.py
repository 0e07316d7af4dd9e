"""Study files: what is refused, what follows from them, and the one that is shipped."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.study.study_plan import (
    STUDY_FILE,
    Study,
    make_plan,
    nested,
    parse_study,
    read_study,
)
from benchmarks.study.tasks import plan_work
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from tests.errors import raises

GOOD: dict[str, Any] = {
    "seeds": [13, 14],
    "latency_bounds": [0.02],
    "model2vec": None,
    "data": {"default": {}},
    "variants": [
        {"name": "wide", "factor": "width", "set": {"transfer_weights.width": 64}},
        {"name": "hard", "factor": "distillation", "set": {"distill.hard_label_weight": 0.5}},
    ],
}


def study_of(**changes: Any) -> Study:
    return parse_study(GOOD | changes)


@pytest.mark.parametrize(
    ("changes", "code", "values"),
    [
        ({"colour": 1}, "parameter-unknown", ["study.colour"]),
        ({"seeds": []}, "parameter-value", ["study.seeds", "at least 1"]),
        ({"seeds": [13, 13]}, "parameter-value", ["seeds", "twice: 13"]),
        ({"seeds": [-1]}, "parameter-value", ["study.seeds.0", "greater than or equal to 0"]),
        ({"data": {}}, "parameter-value", ["study.data", "at least 1"]),
        ({"data": {"a b": {}}}, "parameter-value", ["study.data", "a b"]),
        (
            {"latency_bounds": [1.5]},
            "parameter-value",
            ["latency_bounds.0", "less than or equal to 1"],
        ),
        ({"variants": [{"name": "x"}]}, "parameter-missing", ["study.variants.0.factor"]),
        (
            {"variants": [{"name": "x", "factor": "f", "sets": {}}]},
            "parameter-unknown",
            ["variants.0.sets"],
        ),
        ({"variants": [{"name": "default", "factor": "f"}]}, "parameter-value", ["'default'"]),
        (
            {"variants": [{"name": "x", "factor": "f"}] * 2},
            "parameter-value",
            ["variants", "twice: x"],
        ),
        (
            {"variants": [{"name": "x", "factor": "f", "model": "y"}]},
            "parameter-value",
            ["variants.0.model", "'y'"],
        ),
    ],
)
def test_a_wrong_study_is_refused_with_key_and_value(
    changes: dict[str, Any], code: str, values: list[str]
) -> None:
    with raises(code, *values):
        study_of(**changes)


def test_a_missing_study_file_is_named(tmp_path: Path) -> None:
    with raises("file-missing", "none.yaml"):
        read_study(tmp_path / "none.yaml")


def test_every_variant_is_checked_before_anything_runs(tiny_params: dict[str, Any]) -> None:
    variants = [
        {"name": "a", "factor": "f", "set": {"transfer_weights.widht": 64}},
        {"name": "b", "factor": "f", "set": {"transfer_weights.width": 0}},
        {"name": "c", "factor": "f", "set": {"transfer_weights.width": 64}},
    ]
    with raises("parameter-value") as caught:
        make_plan(study_of(variants=variants), tiny_params)
    problem = caught.value.problem
    wrong = {line.partition(":")[0]: line for line in problem.splitlines()}
    assert "transfer_weights.widht" in wrong["a on default"]
    assert "transfer_weights.width: Input should be greater than or" in wrong["b on default"]
    assert "c on" not in problem


def test_a_wrong_overlay_of_a_data_set_is_named(tiny_params: dict[str, Any]) -> None:
    study = study_of(data={"mine": {"ingest": {"sorce": "x"}}})
    with raises("parameter-value", "on mine", "ingest.sorce", "value 'x'"):
        make_plan(study, tiny_params)


def test_dotted_keys_become_sections() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    with raises("parameter-conflict", "'a.b'", "'a'"):
        nested({"a": 1, "a.b": 2})


def test_base_then_data_then_variant(tiny_params: dict[str, Any]) -> None:
    study = study_of(
        base={"transfer_weights": {"width": 10, "min_count": 3}, "finetune": {"head": "cnn"}},
        data={"mine": {"transfer_weights": {"width": 11, "embedding_dropout": 0.4}}},
    )
    plan = make_plan(study, tiny_params)
    runs = {(run.variant, run.seed): run.params for run in plan.runs}
    assert set(runs) == {(v, s) for v in ("default", "wide", "hard") for s in (13, 14)}
    default, wide = runs["default", 13], runs["wide", 14]
    assert (default["seed"], wide["seed"]) == (13, 14)
    assert [default["transfer_weights"][k] for k in ("width", "min_count")] == [11, 3]
    assert [wide["transfer_weights"][k] for k in ("width", "min_count")] == [64, 3]
    assert wide["transfer_weights"]["embedding_dropout"] == 0.4
    assert wide["finetune"]["head"] == "cnn"


def test_the_default_is_always_there_and_first(tiny_params: dict[str, Any]) -> None:
    plan = make_plan(study_of(), tiny_params, variants=["hard"], seeds=[5])
    assert [(run.variant, run.seed) for run in plan.runs] == [("default", 5), ("hard", 5)]
    only = make_plan(study_of(), tiny_params, variants=["default"])
    assert list(only.variants) == ["default"]


def test_a_variant_that_is_the_default_is_left_out(tiny_params: dict[str, Any]) -> None:
    width = tiny_params["transfer_weights"]["width"]
    same = {"name": "same", "factor": "width", "set": {"transfer_weights.width": width}}
    other = same | {"name": "other", "model": "undistilled"}
    plan = make_plan(study_of(variants=[same, other]), tiny_params)
    assert list(plan.variants) == ["default", "other"]
    assert plan.same_as_default == ("same",)


def test_runs_share_the_steps_that_do_not_differ(tiny_params: dict[str, Any]) -> None:
    study = study_of(data={"one": {}, "two": {"ingest": {"label_budget": 50}}})
    work = plan_work(make_plan(study, tiny_params).runs)
    steps = [task.step for task in work.tasks]
    # 2 data sets x 2 seeds x 3 variants; `wide` has its own initial_student, `hard` the default's.
    counts = {step: steps.count(step) for step in dict.fromkeys(steps)}
    assert counts == {
        "ingest": 2,
        "tokenize": 2,
        "finetune": 4,
        "transfer_weights": 8,
        "distill": 12,
        "export_onnx": 12,
    }
    for number, task in enumerate(work.tasks):
        assert all(work.tasks.index(source) < number for source in task.inputs.values())
    ingest = work.tasks[0]
    assert {run.data for run in ingest.runs} == {"one"}
    assert len(ingest.runs) == 6


def test_the_shipped_study_fits_the_shipped_parameters() -> None:
    plan = make_plan(read_study(STUDY_FILE), read_params_file(PROJECT / "params.yaml"))
    factors = {variant.factor for variant in plan.variants.values()}
    assert {"architecture", "transfer", "distillation", "augmentation", "width"} <= factors
    assert len(plan.seeds) == 3
    controls = {name for name, variant in plan.variants.items() if variant.control}
    assert {"random-embeddings", "no-augmentation", "truncated-bert"} <= controls
    # Each factor names its default value too; a variant that is the default by mistake is none.
    assert set(plan.same_as_default) == {"cnn", "both-finetuned", "kl-1", "width-256"}


@pytest.mark.parametrize(
    "overlay",
    [
        {"task": "regression", "labels": None},
        {"metric": "macro_f1"},
        {
            "targets": [
                {"name": "a", "kind": "single_label"},
                {"name": "b", "kind": "regression"},
            ],
            "labels": None,
        },
    ],
)
def test_data_of_every_kind_can_be_studied(overlay: dict[str, Any]) -> None:
    study = study_of(data={"mine": {"ingest": overlay}})
    plan = make_plan(study, read_params_file(PROJECT / "params.yaml"))
    for run in plan.runs:
        assert overlay.items() <= run.params["ingest"].items()
