"""dvc.yaml and the compiled pipeline are the same graph, and dvc.yaml lists the right code."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from decant.runner.step_command import step_command
from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.identity import PROJECT, code_dependencies
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.settings import parse
from decant.runtime.steps import STEPS, artifact_folder, load_step
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.compiling import compile_pipeline, read_package
from pipelines.local_run.pipeline_run import run_pipeline
from tests.errors import raises

UI_PORTS = {"metrics", "page"}  # for KFP's UI only
PARAMS = PROJECT / "params.yaml"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    file = tmp_path_factory.mktemp("package") / "pipeline.yaml"
    compile_pipeline(file, pipeline_arguments(PARAMS), mlflow_uri="http://mlflow:5000")
    return read_package(file)


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    return dict(YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"])


def kfp_name(step: str) -> str:
    return step.replace("_", "-")


def kfp_edges(spec: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(producing step, port, reading step)"""
    edges = set()
    for reader, task in spec["root"]["dag"]["tasks"].items():
        for port, source in task.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            assert output["outputArtifactKey"] == port
            edges.add((output["producerTask"], port, reader))
    return edges


def dvc_edges(stages: dict[str, Any]) -> set[tuple[str, str, str]]:
    made = {out: name for name, stage in stages.items() for out in stage["outs"]}
    ports = {artifact_folder(port): port for name in STEPS for port in load_step(name).output_ports}
    return {
        (kfp_name(made[dep]), ports[dep], kfp_name(name))
        for name, stage in stages.items()
        for dep in stage["deps"]
        if dep in made
    }


def test_same_steps_in_the_same_order(
    package: list[dict[str, Any]], stages: dict[str, Any]
) -> None:
    assert tuple(stages) == STEPS
    assert set(package[0]["root"]["dag"]["tasks"]) == {kfp_name(step) for step in STEPS}


def test_same_edges(package: list[dict[str, Any]], stages: dict[str, Any]) -> None:
    edges = dvc_edges(stages)
    assert {("ingest", "corpus", "tokenize"), ("evaluate", "report", "register")} <= edges
    assert kfp_edges(package[0]) == edges


def test_same_outputs(package: list[dict[str, Any]], stages: dict[str, Any]) -> None:
    for step in STEPS:
        component = package[0]["components"][f"comp-{kfp_name(step)}"]
        ports = set(component["outputDefinitions"]["artifacts"]) - UI_PORTS
        assert ports == set(load_step(step).output_ports)
        assert [artifact_folder(port) for port in load_step(step).output_ports] == stages[step][
            "outs"
        ]


def test_same_parameters(package: list[dict[str, Any]], stages: dict[str, Any]) -> None:
    content = read_params_file(PARAMS)
    defaults = package[0]["root"]["inputDefinitions"]["parameters"]
    for step in STEPS:
        params_class = load_step(step).params
        section = section_of(content, step, params_class)
        compiled = json.loads(defaults[f"{step}_params"]["defaultValue"])
        assert compiled == section
        assert parse(params_class, compiled, step) == parse(params_class, section, step)
        expected = ["seed", step] if "seed" in section else [step]
        assert stages[step]["params"] == expected


@pytest.mark.parametrize("step", STEPS)
def test_a_stage_depends_on_its_folder_and_on_the_rooms_that_it_uses_no_more_no_less(
    step: str, stages: dict[str, Any]
) -> None:
    listed = {dep for dep in stages[step]["deps"] if dep.startswith(("components/", "decant/"))}
    assert listed == {path.relative_to(PROJECT).as_posix() for path in code_dependencies(step)}
    assert "requirements.lock" in stages[step]["deps"]


def test_dvc_yaml_is_read_at_a_glance() -> None:
    further = len(STEPS) - 8
    assert len((PROJECT / "dvc.yaml").read_text().splitlines()) < 180 + 15 * further


def test_local_sources_are_dependencies(stages: dict[str, Any]) -> None:
    assert {"${ingest.local_corpus}", "${ingest.local_encoder}"} <= set(stages["ingest"]["deps"])


@pytest.mark.parametrize("step", STEPS)
def test_the_ports_of_a_command_are_the_stages_deps_and_outs(
    step: str, stages: dict[str, Any]
) -> None:
    assert stages[step]["cmd"] == f"python -m components {step}"
    declared = load_step(step)
    read = {
        dep for dep in stages[step]["deps"] if dep in ("reports",) or dep.startswith("artifacts/")
    }
    assert read == {artifact_folder(port) for port in declared.input_ports}
    context = click.Context(step_command)
    options = step_command.get_command(context, step).params
    defaults = {option.name: str(option.default) for option in options}
    for port in (*declared.input_ports, *declared.output_ports):
        assert defaults[port] == artifact_folder(port)


def test_nothing_is_installed_at_run_time_and_the_image_is_fixed(
    package: list[dict[str, Any]],
) -> None:
    executors = package[0]["deploymentSpec"]["executors"]
    assert len(executors) == len(STEPS)
    for executor in executors.values():
        container = executor["container"]
        assert container["image"] == STEPS_IMAGE
        assert "pip install" not in json.dumps(container)
        assert {"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"} in container["env"]


def test_every_task_finds_kfps_run_id(package: list[dict[str, Any]]) -> None:
    deployments = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert len(deployments) == len(STEPS)
    for settings in deployments.values():
        assert settings["fieldPathAsEnv"] == [
            {"name": "KFP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
        ]


def test_register_is_never_answered_from_the_cache(package: list[dict[str, Any]]) -> None:
    tasks = package[0]["root"]["dag"]["tasks"]
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == {kfp_name(step) for step in STEPS} - {"register"}


@pytest.mark.parametrize("image", ["decant-steps", "decant-steps:latest", "host:5000/decant-steps"])
def test_an_image_that_can_change_is_refused(image: str, tmp_path: Path) -> None:
    with raises("image-not-fixed", f"'{image}'"):
        compile_pipeline(tmp_path / "p.yaml", pipeline_arguments(PARAMS), image=image)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "code", "values"),
    [
        ("distill.temperature=0", "parameter-value", ["distill.temperature", "greater than 0"]),
        ("seed=-1", "parameter-value", [".seed", "greater than or equal to 0"]),
        ("finetune.head=lienar", "head-unknown", ["'lienar'"]),
        ("finetune.heads.cnn.filters=0", "parameter-value", ["finetune.heads.cnn.filters"]),
        ("transfer_weights.architecture=cnm", "student-unknown", ["'cnm'"]),
        ("transfer_weights.students.cnn.filters=-4", "parameter-value", ["students.cnn.filters"]),
        (
            "evaluate.gate.max_latency_p50_us=.inf",
            "parameter-value",
            ["evaluate.gate.max_latency_p50_us"],
        ),
        (
            "distill.splice_probability=1",
            "parameter-unknown",
            ["distill.augmentation.splice_probability"],
        ),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_runs(
    override: str, code: str, values: list[str]
) -> None:
    with raises(code, *values):
        pipeline_arguments(PARAMS, [override])


def test_an_override_may_leave_out_training() -> None:
    arguments = pipeline_arguments(PARAMS, ["distill.epochs=5", "finetune.epochs=7"])
    distill = json.loads(arguments["distill_params"])
    assert distill["training"]["epochs"] == 5
    assert distill["undistilled_training"]["epochs"] != 5
    assert json.loads(arguments["finetune_params"])["training"]["epochs"] == 7


def test_outputs_that_cannot_be_written_are_errors_of_the_user(tmp_path: Path) -> None:
    arguments = pipeline_arguments(PARAMS)
    (tmp_path / "file").write_text("mine")
    with raises("output-taken", str(tmp_path)):
        compile_pipeline(tmp_path, arguments)
    with raises("path-unwritable", "file"):
        compile_pipeline(tmp_path / "file" / "p.yaml", arguments)
    with raises("output-taken", str(tmp_path)):
        run_pipeline(arguments, tmp_path, run_id="1")
    with raises("output-taken", str(tmp_path / "file")):
        run_pipeline(arguments, tmp_path / "file", run_id="1")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_changed_local_file_changes_the_key_of_ingest_alone(
    tmp_path: Path, tiny_csv: Path, tiny_encoder: Path
) -> None:
    source = tmp_path / "mine.csv"
    source.write_bytes(tiny_csv.read_bytes())
    overrides = [
        f"ingest.source={source}",
        f"ingest.local_corpus={tmp_path}",
        f"ingest.encoder={tiny_encoder}",
        f"ingest.local_encoder={tiny_encoder}",
    ]
    before = pipeline_arguments(PARAMS, overrides)
    assert pipeline_arguments(PARAMS, overrides) == before
    source.write_text(source.read_text() + "one more superb line,positive,film 1\n")
    after = pipeline_arguments(PARAMS, overrides)
    assert {key for key in after if after[key] != before[key]} == {"ingest_key"}


def test_a_changed_parameter_changes_the_arguments_of_its_step_alone() -> None:
    before, after = (pipeline_arguments(PARAMS, change) for change in ([], ["distill.loss=mse"]))
    assert {key for key in after if after[key] != before[key]} == {"distill_params"}
