"""The lock files give every package that pyproject.toml asks for, each in one version."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from decant.runtime.identity import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
RUN, DEVELOP = "requirements.lock", "requirements-dev.lock"
PEERS = "requirements-peers.lock"  # beside the two others, for a benchmark
WITHOUT_HASHES = {"torch"}  # which build of it there is, each index decides
# On each system one of ONNX Runtime's two builds is there, under another name.
ENVIRONMENTS = (
    {"sys_platform": "linux", "platform_system": "Linux", "python_version": "3.11"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "python_version": "3.13"},
)


def pins(*names: str) -> Iterator[Requirement]:
    for name in names:
        for line in (PROJECT / name).read_text("utf-8").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield Requirement(line)


def locked(environment: dict[str, str], *names: str) -> dict[str, Version]:
    """The version of every package that is installed there."""
    found: dict[str, Version] = {}
    for pin in pins(*names):
        if pin.marker is None or pin.marker.evaluate(environment):
            (one,) = pin.specifier
            name, version = canonicalize_name(pin.name), Version(one.version)
            assert found.setdefault(name, version) == version, f"{name} is there twice"
    return found


def to_run() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = (line for lines in project["optional-dependencies"].values() for line in lines)
    lines = [*project["dependencies"], *extras]
    return [Requirement(line) for line in lines if not line.startswith("decant[")]


def to_develop() -> list[Requirement]:
    groups = PYPROJECT["dependency-groups"]
    return [Requirement(line) for group in ("dev", "docs") for line in groups[group]]


@pytest.mark.parametrize(("name", "least"), [(RUN, 50), (DEVELOP, 50), (PEERS, 1)])
def test_every_line_is_one_version(name: str, least: int) -> None:
    lines = list(pins(name))
    assert len(lines) > least
    for pin in lines:
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda one: one["sys_platform"])
def test_what_the_project_asks_for_is_locked(environment: dict[str, str]) -> None:
    found = locked(environment, RUN)
    for needed in to_run():
        if needed.marker and not needed.marker.evaluate(environment):
            continue
        name = canonicalize_name(needed.name)
        if name == "onnxruntime" and "onnxruntime-gpu" in found:
            name = canonicalize_name("onnxruntime-gpu")  # the same package
        assert name in found, f"{needed} is not in {RUN}: make lock"
        assert needed.specifier.contains(found[name], prereleases=True), f"{needed}: {found[name]}"
    both = locked(environment, RUN, DEVELOP)
    for needed in to_develop():
        name = canonicalize_name(needed.name)
        assert name in both, f"{needed} is not in {DEVELOP}: make lock"
        assert needed.specifier.contains(both[name], prereleases=True), f"{needed}: {both[name]}"


def test_the_peers_are_locked_beside_the_others() -> None:
    own = locked(ENVIRONMENTS[0], PEERS)
    assert not own.keys() & locked(ENVIRONMENTS[0], RUN, DEVELOP).keys()
    for needed in map(Requirement, PYPROJECT["dependency-groups"]["peers"]):
        version = own[canonicalize_name(needed.name)]
        assert needed.specifier.contains(version), f"{needed}: {version}: make lock"


@pytest.mark.parametrize("name", [RUN, DEVELOP, PEERS])
def test_everything_but_torch_has_its_hashes(name: str) -> None:
    text = (PROJECT / name.replace(".lock", "-hashed.lock")).read_text("utf-8")
    entries = text.replace("\\\n", "").splitlines()
    found: dict[str, set[str]] = {}
    for entry in entries:
        if not entry.startswith("#"):
            pin, *hashes = entry.split("--hash=")
            assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", one) for one in hashes)
            found.setdefault(pin_of(Requirement(pin)), set()).update(map(str.strip, hashes))
    locked_here = [pin for pin in pins(name) if pin.name not in WITHOUT_HASHES]
    assert set(found) == {pin_of(pin) for pin in locked_here}, "make hashes"
    compiled = [len(hashes) for pin, hashes in found.items() if pin.startswith(("numpy", "mypy=="))]
    assert name == PEERS or (compiled and min(compiled) >= 10), (
        "the files of every system, not of this one alone"
    )


def pin_of(requirement: Requirement) -> str:
    return f"{canonicalize_name(requirement.name)}{requirement.specifier}"


def test_ci_runs_no_action_that_can_change() -> None:
    """A tag can be moved to another commit, a commit cannot."""
    for file in (PROJECT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: *(\S+)", file.read_text("utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


def test_what_is_installed_here_is_what_is_locked() -> None:
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    for pin in pins(RUN):
        if pin.marker is None or pin.marker.evaluate():
            (one,) = pin.specifier
            try:
                here = Version(version(pin.name))
            except PackageNotFoundError:
                missing.append(pin.name)
                continue
            # A build of torch for the processor has a local part: 2.13.0+cpu.
            assert here.public == Version(one.version).public, pin.name
    assert not missing
