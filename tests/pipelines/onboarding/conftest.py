"""`decant init` in a folder of its own, with params.yaml and the tiny encoder of the tests."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from decant.runtime import identity
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from pipelines.__main__ import main

WORDS = ["the", "film", "is", "plot", "actor", "and", "with", "of", "story", "good", "bad", "dull"]

Init = Callable[..., Result]


def texts(count: int, seed: int = 0) -> list[str]:
    """Different texts of eight words and a number."""
    draw = random.Random(seed)
    return [f"{' '.join(draw.choices(WORDS, k=8))} {seed}{index}" for index in range(count)]


def table(file: Path, columns: dict[str, Sequence[Any]]) -> Path:
    """Write the columns as the file's suffix says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(columns)
    match file.suffix:
        case ".csv":
            frame.to_csv(file, index=False)
        case ".tsv":
            frame.to_csv(file, index=False, sep="\t")
        case ".parquet":
            frame.to_parquet(file)
        case ".jsonl":
            frame.to_json(file, orient="records", lines=True, force_ascii=False)
    return file


def labels(count: int, *names: str) -> list[str]:
    """The names in turn."""
    return [names[index % len(names)] for index in range(count)]


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root as the working folder: params.yaml alone, which names the tiny encoder."""
    root = tmp_path / "project"
    root.mkdir()
    text = (PROJECT / "params.yaml").read_text("utf-8")
    lines = [
        f"  {key}: {tiny_encoder} # of the tests" if key in ("encoder", "local_encoder") else line
        for line in text.splitlines()
        for key in [line.strip().partition(":")[0] if line.startswith("  ") else ""]
    ]
    (root / "params.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.setattr(identity, "PROJECT", root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def init(project: Path) -> Init:
    """Run the command; `answers` are typed where a person sits at a terminal."""

    def run(*words: object, answers: Sequence[str] | None = None) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            if answers is not None:
                patch.setattr("pipelines.onboarding.questions.can_answer", lambda: True)
            return CliRunner().invoke(
                main,
                ["init", *map(str, words)],
                input="\n".join(answers) + "\n" if answers is not None else None,
            )

    return run


@pytest.fixture
def written(project: Path) -> Callable[[str], dict[str, Any]]:
    """What a parameter file changes, by dotted path."""

    def read(name: str) -> dict[str, Any]:
        before = read_params_file(project / "params.yaml")
        return dict(_differences(before, read_params_file(project / name), ""))

    return read


def _differences(before: Any, after: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[tuple[str, Any]] = []
        for key in after:
            found += _differences(before[key], after[key], f"{path}.{key}" if path else str(key))
        return found
    return [] if before == after else [(path, after)]
