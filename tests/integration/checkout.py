"""A copy of the project under git and DVC, with a tiny corpus, as a user's checkout is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT


def fresh_environment(home: Path) -> dict[str, str]:
    """A fresh cache and a fresh MLflow store, and bytecode written as on a user's machine."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("DECANT_TRACKING", None)
    environment["DECANT_CACHE"] = str(home / "cache")
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{home / 'mlflow.db'}"
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["GIT_AUTHOR_NAME"] = environment["GIT_COMMITTER_NAME"] = "test"
    environment["GIT_AUTHOR_EMAIL"] = environment["GIT_COMMITTER_EMAIL"] = "test@example.org"
    return environment


def run(
    command: list[str], folder: Path, environment: dict[str, str], *, exit_code: int = 0
) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == exit_code, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def write_params(params: dict[str, Any], file: Path) -> None:
    YAML().dump(params, file)


def write_data(folder: Path, tiny_params: dict[str, Any]) -> None:
    """The tiny corpus and encoder in the folder, and parameters with relative paths."""
    params = json.loads(json.dumps(tiny_params))
    shutil.copytree(params["ingest"]["local_corpus"], folder / "data" / "corpus")
    shutil.copytree(params["ingest"]["local_encoder"], folder / "data" / "encoder")
    params["ingest"] |= {
        "source": "data/corpus/reviews.csv",
        "local_corpus": "data/corpus",
        "encoder": "data/encoder",
        "local_encoder": "data/encoder",
    }
    write_params(params, folder / "params.yaml")


def write_absolute(folder: Path, params: dict[str, Any]) -> None:
    """The parameters as they are: their data stay where they are."""
    write_params(params, folder / "params.yaml")


def make_checkout(
    parent: Path,
    params: dict[str, Any],
    environment: dict[str, str],
    write: Callable[[Path, dict[str, Any]], None] = write_data,
) -> Path:
    """The project's folder; everything but what is ignored is committed."""
    folder = parent / "decant"
    folder.mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    for name in ("decant", "components", "pipelines"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder / name)
    write(folder, params)
    run(["git", "init", "--quiet"], folder, environment)
    run(["git", "add", "--all"], folder, environment)
    run(["git", "commit", "--quiet", "--message", "start"], folder, environment)
    return folder
