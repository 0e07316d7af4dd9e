"""Data and an encoder of this machine, a folder that pods reach too, and profiles."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.ingest.contract import Params
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.settings import parse
from pipelines.profiles.profile import Profile, load_profile

ROWS = b"text,label\n" + b"".join(
    f"{'good' if n % 2 else 'bad'} film number {n},{n % 2}\n".encode() for n in range(200)
)


@dataclasses.dataclass(frozen=True)
class Sides:
    """What stands here, and the folder that both sides reach: the claim `team`, mounted there."""

    corpus: Path
    encoder: Path
    shared: Path
    profile: Profile

    @property
    def staging(self) -> str:
        return str(self.shared / "decant")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def profile_with(tmp_path: Path) -> Callable[[str], Profile]:
    def write(text: str) -> Profile:
        file = tmp_path / "mine.yaml"
        file.write_text(f"development: true\n{text}\n")
        return load_profile(str(file))

    return write


@pytest.fixture
def sides(tmp_path: Path, profile_with: Callable[[str], Profile]) -> Sides:
    here, shared = tmp_path / "here", tmp_path / "shared"
    (here / "encoder" / "deep").mkdir(parents=True)
    shared.mkdir()
    (here / "reviews.csv").write_bytes(ROWS)
    (here / "encoder" / "config.json").write_text("{}")
    (here / "encoder" / "deep" / "part.bin").write_bytes(b"weights")
    profile = profile_with(f"all: {{volumes: {{team: {{path: {shared}}}}}}}")
    return Sides(here / "reviews.csv", here / "encoder", shared, profile)


def ingest_params(**changes: Any) -> Params:
    """Those of params.yaml, whose sources are remote and pinned, but for the changes."""
    content = read_params_file(PROJECT / "params.yaml")
    section = {**section_of(content, "ingest", Params), **changes}
    parsed: Params = parse(Params, section, "ingest")
    return parsed
