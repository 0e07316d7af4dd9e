"""The next attempt of a run takes over what is whole, and makes the rest again."""

from pathlib import Path

import pytest

from decant.runner.earlier_attempt import RUN, earlier_outputs, note_finished, take_over
from decant.runtime.identity import content_digest
from decant.runtime.log_lines import logged_by
from decant.runtime.steps import artifact_folder, load_step
from tests.damages import DAMAGES, Damage

INGEST = load_step("ingest")


def make(attempt: Path, step: str = "ingest") -> dict[str, Path]:
    outputs = {port: attempt / step / port for port in load_step(step).output_ports}
    for port, folder in outputs.items():
        (folder / "deep").mkdir(parents=True)
        (folder / "card.json").write_text('{"a": "card"}')
        (folder / "deep" / "rows").write_text(f"rows of {port}")
    return outputs


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(RUN, str(tmp_path / ".kfp"))
    (tmp_path / ".kfp").mkdir()
    return tmp_path / ".kfp"


def test_what_is_whole_is_taken_over(root: Path) -> None:
    made = make(root / "attempt-1")
    note_finished(INGEST, "key", made)
    assert earlier_outputs(INGEST, "another key") == {}
    outputs = {port: root / "attempt-2" / "ingest" / port for port in made}
    take_over(earlier_outputs(INGEST, "key"), outputs)
    for port, folder in outputs.items():
        assert content_digest(folder) == content_digest(made[port])
        assert made[port].is_dir()  # until the run has ended


def test_what_a_failed_run_had_handed_over_is_found_there(root: Path, tmp_path: Path) -> None:
    made = make(root / "attempt-1")
    note_finished(INGEST, "key", made)
    for port, folder in made.items():
        place = tmp_path / artifact_folder(port)
        place.parent.mkdir(exist_ok=True)
        folder.rename(place)
    assert set(earlier_outputs(INGEST, "key").values()) == {
        tmp_path / artifact_folder(port) for port in made
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_said_and_made_again(damage: Damage, root: Path) -> None:
    made = make(root / "attempt-1")
    note_finished(INGEST, "key", made)
    damage(made["encoder"] / "deep" / "rows")
    lines: list[str] = []
    with logged_by(lines.append):
        assert earlier_outputs(INGEST, "key") == {}
    assert len(lines) == 1 and "encoder" in lines[0]


def test_register_acts_again(root: Path) -> None:
    register = load_step("register")
    note_finished(register, "key", make(root / "attempt-1", "register"))
    assert earlier_outputs(register, "key") == {}


def test_outside_of_a_local_run_nothing_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RUN, raising=False)
    note_finished(INGEST, "key", make(tmp_path / "attempt-1"))
    assert earlier_outputs(INGEST, "key") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["attempt-1"]
