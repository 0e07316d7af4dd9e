"""What each shipped profile puts into the package, against golden files that a person reads.

Only what a profile determines is compared, so that changed code does not touch them. After a wanted
change, DECANT_WRITE_GOLDEN=1 writes them anew; read the difference before you commit it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runner.train_job.node_plan import VARIABLE as PLAN_VARIABLE
from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.compiling import compile_pipeline, read_package
from pipelines.profiles.profile import load_profile, shipped_profiles

GOLDEN = Path(__file__).with_name("golden")
IMAGE = f"registry.example.org/decant-steps@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def arguments() -> dict[str, str]:
    return pipeline_arguments(PROJECT / "params.yaml")


def determined(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    """The parts of the two documents that a profile sets for a step."""
    spec, platforms = package
    task = step.replace("_", "-")
    container = spec["deploymentSpec"]["executors"][f"exec-{task}"]["container"]
    pod = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{task}"]
    params = json.loads(
        spec["root"]["inputDefinitions"]["parameters"][f"{step}_params"]["defaultValue"]
    )
    flow = spec["root"]["dag"]["tasks"][task]
    env = {one["name"]: one["value"] for one in container["env"]}
    plan = env.pop(PLAN_VARIABLE, "null")
    parts = {
        "device": params.get("device"),
        "env": env,
        "train_job": json.loads(plan),
        "resources": {
            key: value
            for key, value in container["resources"].items()
            if key.startswith("resource") or key == "accelerator"
        },
        "cached": flow["cachingOptions"].get("enableCache", False),
        "retryPolicy": flow.get("retryPolicy"),
        "pod": {key: value for key, value in pod.items() if key != "fieldPathAsEnv"},
    }
    return {key: value for key, value in parts.items() if value is not None}


@pytest.mark.parametrize("name", shipped_profiles())
def test_the_package_of_a_shipped_profile(
    name: str, tmp_path: Path, arguments: dict[str, str]
) -> None:
    compile_pipeline(tmp_path / "package.yaml", arguments, profile=load_profile(name), image=IMAGE)
    package = read_package(tmp_path / "package.yaml")
    found = {step: determined(package, step) for step in STEPS}
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("DECANT_WRITE_GOLDEN"):
        YAML().dump(found, file)
    assert found == YAML(typ="safe").load(file.read_text("utf-8"))


def test_there_is_a_golden_file_per_shipped_profile() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(shipped_profiles())
