"""Packages compiled with a profile, and what stands in them."""

from pathlib import Path
from typing import Any

from pipelines.kubeflow.compiling import compile_pipeline, read_package
from pipelines.profiles.profile import Profile, load_profile


def written(tmp_path: Path, text: str) -> Profile:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return load_profile(str(file))


def compiled(
    folder: Path, arguments: dict[str, str], profile: Profile | None, **options: Any
) -> list[dict[str, Any]]:
    compile_pipeline(folder / "package.yaml", arguments, profile=profile, **options)
    return read_package(folder / "package.yaml")


def container(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    executor = package[0]["deploymentSpec"]["executors"][f"exec-{step.replace('_', '-')}"]
    found: dict[str, Any] = executor["container"]
    return found
