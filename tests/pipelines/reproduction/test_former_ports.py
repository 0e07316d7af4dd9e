"""Ports of versions that were registered with Decant 0.1."""

from pathlib import Path

from pipelines.reproduction.former_ports import folder_in, names_of, with_present_names


def test_a_former_name_is_read_as_that_of_today() -> None:
    assert with_present_names({"student0": "a", "teacher": "b"}) == {
        "initial_student": "a",
        "teacher": "b",
    }
    assert names_of("initial_student") == ("initial_student", "student0")
    assert names_of("teacher") == ("teacher",)


def test_a_checkout_of_an_older_commit_has_the_former_folder(tmp_path: Path) -> None:
    assert folder_in(tmp_path, "initial_student") == tmp_path / "artifacts" / "initial_student"
    (tmp_path / "artifacts" / "student0").mkdir(parents=True)
    assert folder_in(tmp_path, "initial_student") == tmp_path / "artifacts" / "student0"
    assert folder_in(tmp_path, "report") == tmp_path / "reports"
