"""What can be told of docker/Dockerfile without a daemon: pins, users, layers, what is copied."""

import re
import subprocess
from dataclasses import dataclass, field

import pytest
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT

FINAL = ("steps", "serve", "mlflow")
RIGHTLESS = re.compile(r"[1-9]\d{3,}")


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(f"{name} {text}" for name, text in self.instructions)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.instructions if name == instruction]


def parse(text: str) -> tuple[dict[str, str], dict[str, Stage]]:
    """Defaults of the arguments before the first FROM, and the stages in their order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n", " ", "\n".join(lines))
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in filter(str.strip, logical.splitlines()):
        instruction, _, rest = line.strip().partition(" ")
        rest = " ".join(rest.split())
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            current = stages[name] = Stage(name, base)
        elif current:
            current.instructions.append((instruction, rest))
        else:
            assert instruction == "ARG"
            key, _, value = rest.partition("=")
            arguments[key] = value
    return arguments, stages


@pytest.fixture(scope="module")
def dockerfile() -> tuple[dict[str, str], dict[str, Stage]]:
    return parse((PROJECT / "docker" / "Dockerfile").read_text("utf-8"))


@pytest.fixture(scope="module")
def stages(dockerfile: tuple[dict[str, str], dict[str, Stage]]) -> dict[str, Stage]:
    return dockerfile[1]


def test_every_base_is_one_pinned_image_or_a_stage(
    dockerfile: tuple[dict[str, str], dict[str, Stage]],
) -> None:
    arguments, stages = dockerfile
    assert set(FINAL) < set(stages)
    assert re.fullmatch(r"python:3\.11-slim-bookworm(@sha256:[0-9a-f]{64})?", arguments["BASE"])
    assert all(stage.base == "${BASE}" or stage.base in stages for stage in stages.values())
    assert all(stages[name].base == "${BASE}" for name in FINAL)


@pytest.mark.parametrize("name", FINAL)
def test_an_image_runs_as_a_user_without_rights(name: str, stages: dict[str, Stage]) -> None:
    users = stages[name].all("USER")
    assert len(users) == 1
    assert RIGHTLESS.fullmatch(users[0])
    last_write = max(i for i, (what, _) in enumerate(stages[name].instructions) if what == "COPY")
    assert stages[name].instructions.index(("USER", users[0])) > last_write


@pytest.mark.parametrize("name", FINAL)
def test_nothing_is_installed_into_an_image(name: str, stages: dict[str, Stage]) -> None:
    runs = " ".join(stages[name].all("RUN"))
    assert not re.search(r"\b(pip|apt|apt-get|curl|wget)\b", runs)


def test_nothing_is_fetched_but_by_pip_with_the_lock(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        assert not stage.all("ADD")
        for run in stage.all("RUN"):
            for install in re.findall(r"pip install [^&]*", run):
                assert re.search(
                    "--requirement /build/requirements(-hashed)?.lock|--constraint /build/", install
                ), install
                assert "--upgrade" not in install


@pytest.mark.parametrize("name", FINAL)
def test_labels_say_version_and_commit(name: str, stages: dict[str, Stage]) -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', stages[name].text))
    assert labels["title"] == f"decant-{name}"
    assert labels["version"] == "${VERSION}"
    assert labels["revision"] == "${COMMIT}"
    assert labels["licenses"] == "Apache-2.0"
    assert {"VERSION=unknown", "COMMIT=unknown"} <= set(stages[name].all("ARG"))


@pytest.mark.parametrize("name", FINAL)
def test_commands_are_executed_without_a_shell_that_keeps_signals(
    name: str, stages: dict[str, Stage]
) -> None:
    for instruction in ("CMD", "ENTRYPOINT"):
        for text in stages[name].all(instruction):
            assert isinstance(YAML(typ="safe").load(text), list)
    assert stages[name].all("ENTRYPOINT") == ["[]"]


def test_what_serves_says_whether_it_is_healthy(stages: dict[str, Stage]) -> None:
    for name in ("serve", "mlflow"):
        assert " CMD [" in stages[name].all("HEALTHCHECK")[0]
        assert stages[name].all("EXPOSE")


def test_no_secret_is_an_argument_or_a_variable(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        words = " ".join(stage.all("ARG") + stage.all("ENV"))
        assert not re.search(r"(?i)password|secret|token|credential|api_?key", words)


def test_serving_needs_neither_torch_nor_the_pipeline(stages: dict[str, Stage]) -> None:
    packages = served_packages(stages)
    assert "onnxruntime" in packages
    assert not {"torch", "transformers", "kfp", "dvc", "mlflow", "onnxruntime-gpu"} & set(packages)
    copied = " ".join(stages["serve"].all("COPY"))
    assert "components" not in copied and "pipelines" not in copied


def test_what_is_copied_is_in_the_context_and_nothing_else(stages: dict[str, Stage]) -> None:
    ignore = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line[1:] for line in rules if line.startswith("!")} - {"docker"}
    copied = {
        source
        for stage in stages.values()
        for text in stage.all("COPY")
        if not text.startswith("--from")
        for source in text.split()[:-1]
    }
    assert copied == allowed
    assert all((PROJECT / source).exists() for source in copied)
    assert "docker/*" in rules and not any(".env" in source for source in allowed)


def test_the_lock_pins_what_serving_needs_on_linux(stages: dict[str, Stage]) -> None:
    """The `sed` of the stage is run on the lock: ONNX Runtime's line loses its marker, no other."""
    before = (PROJECT / "requirements.lock").read_text("utf-8")
    command = re.search(r"sed '([^']*)' /build/requirements\.lock", stages["serve-build"].text)
    assert command
    after = subprocess.run(
        ["sed", command[1]], input=before, capture_output=True, text=True, check=True
    ).stdout
    changed = set(after.splitlines()) - set(before.splitlines())
    assert len(changed) == 1
    assert re.fullmatch(r"onnxruntime==[\d.]+", changed.pop())
    pinned = {line.partition("==")[0] for line in after.splitlines()}
    assert set(served_packages(stages)) <= pinned


def test_without_cuda_the_hashed_lock_has_the_processors_build(stages: dict[str, Stage]) -> None:
    before = (PROJECT / "requirements-hashed.lock").read_text("utf-8")
    text = stages["steps-libraries"].text
    command = re.search(r"sed -i '([^']*)' /build/requirements-hashed\.lock", text)
    assert command
    after = subprocess.run(
        ["sed", command[1]], input=before, capture_output=True, text=True, check=True
    ).stdout
    was, now = (re.split(r"(?m)^(?=[a-z])", content) for content in (before, after))
    (cpu,) = (one for one in now if one not in was)
    assert re.match(r"onnxruntime==[\d.]+ \\\n    --hash=sha256:", cpu)
    gone = [one.split("==")[0] for one in was if one not in now]
    assert sorted(gone) == ["onnxruntime", "onnxruntime-gpu"]


def test_the_servers_own_requirements_are_exact() -> None:
    lines = [
        line
        for line in (PROJECT / "docker" / "mlflow.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    locked = {
        line.partition("==")[0]
        for line in (PROJECT / "requirements.lock").read_text("utf-8").splitlines()
    }
    for line in lines:
        name, _, version = line.partition("==")
        assert version or name in locked, line
        assert not version or name not in locked, f"{name} is pinned twice"


def served_packages(stages: dict[str, Stage]) -> list[str]:
    text = stages["serve-build"].text
    install = re.search(r"pip install --quiet --no-compile --constraint \S+ ([^&]*?) &&", text)
    assert install
    return install[1].split()
