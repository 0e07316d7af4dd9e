"""The wheel's base installation, in an environment of its own: it uses models and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from decant.runtime.identity import PROJECT

pytestmark = pytest.mark.slow

# What training, pipelines and tracking bring along.
ABSENT = ("torch", "transformers", "kfp", "dvc", "mlflow", "pandas", "onnx")

USE = f"""
import json, sys
from decant import TextClassifier
classifier = TextClassifier.load(sys.argv[1])
answers = classifier.predict(["a good film", "a dull film"])
assert not set({ABSENT!r}) & set(sys.modules)
print(json.dumps([[answer.label, answer.score] for answer in answers]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a fresh environment with the wheel and its dependencies."""
    root = tmp_path_factory.mktemp("wheel")
    (wheel,) = build_wheel(root / "source", root)
    run([sys.executable, "-m", "venv", str(root / "venv")], root)
    programs = root / "venv" / "bin"
    run([str(programs / "python"), "-m", "pip", "install", "--quiet", str(wheel)], root)
    return programs


def build_wheel(source: Path, target: Path) -> list[Path]:
    """From a copy: what an earlier build left beside the sources would go into the wheel."""
    source.mkdir()
    for name in ("decant", "components", "pipelines", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    build = [sys.executable, "-m", "uv", "build", "--wheel", "--quiet", "--out-dir", str(target)]
    run([*build, str(source)], target)
    return list(target.glob("decant-*.whl"))


def run(
    command: list[str], folder: Path, *, exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=outside, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == exit_code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_the_base_has_none_of_the_heavy_packages(environment: Path, tmp_path: Path) -> None:
    listed = run([str(environment / "python"), "-m", "pip", "list", "--format", "json"], tmp_path)
    names = {package["name"] for package in json.loads(listed.stdout)}
    assert {"decant", "onnxruntime", "tokenizers", "numpy", "click"} <= names
    assert not names & set(ABSENT)


def test_decant_predict_classifies(environment: Path, tiny_exported: Path, tmp_path: Path) -> None:
    command = [str(environment / "decant"), "predict", "--model", str(tiny_exported)]
    done = run([*command, "a good film", "a dull film"], tmp_path)
    assert done.stdout == "positive\t0.982014\ta good film\nnegative\t0.982014\ta dull film\n"


def test_text_classifier_classifies(environment: Path, tiny_exported: Path, tmp_path: Path) -> None:
    done = run([str(environment / "python"), "-c", USE, str(tiny_exported)], tmp_path)
    (first, first_score), (second, second_score) = json.loads(done.stdout)
    assert (first, second) == ("positive", "negative")
    assert first_score == second_score == pytest.approx(0.982014, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["predict", "--model", "models:/m/1", "a"], "mlflow", "mlflow"),
        (["predict", "--model", "MODEL", "--file", "a.csv"], "duckdb", "tables"),
        (["run"], "ruamel", "training"),
    ],
)
def test_what_the_base_lacks_is_named_with_its_extra(
    words: list[str],
    package: str,
    extra: str,
    environment: Path,
    tiny_exported: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "a.csv").write_text("text\na good film\n")
    words = [str(tiny_exported) if word == "MODEL" else word for word in words]
    done = run([str(environment / "decant"), *words], tmp_path, exit_code=2)
    assert f"the package {package}, which is not installed" in done.stderr
    assert f"pip install 'decant[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_needs_no_package(environment: Path, tmp_path: Path) -> None:
    listing = run([str(environment / "decant"), "--help"], tmp_path).stdout
    assert "predict" in listing
    assert "promote" in listing
