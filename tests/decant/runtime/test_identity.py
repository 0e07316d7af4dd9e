"""Digests of content and of code: what changes them and what does not."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.runtime import identity
from decant.runtime.steps import STEPS


def folder_of(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_content_digest_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"b.txt": "B", "a/c.txt": "C"})
    lines = [
        f"a/c.txt\0{hashlib.sha256(b'C').hexdigest()}\n",
        f"b.txt\0{hashlib.sha256(b'B').hexdigest()}\n",
    ]
    assert identity.content_digest(folder) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_sidecar_is_not_content(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "A"})
    before = identity.content_digest(folder)
    (folder / identity.SIDECAR).write_text("{}")
    assert identity.content_digest(folder) == before
    (folder / "b.txt").write_text("")
    assert identity.content_digest(folder) != before


def test_renaming_or_moving_bytes_changes_the_digest(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "1", {"a": "x", "b": "y"})
    two = folder_of(tmp_path / "2", {"a": "y", "b": "x"})
    assert identity.content_digest(one) != identity.content_digest(two)


def test_step_identity_changes_with_everything_it_rests_on() -> None:
    def key(step: str = "distill", *, params: int = 1, data: str = "d", code: str = "c") -> str:
        return identity.step_identity(step, {"epochs": params}, {"tokens": data}, code=code)

    keys = {key(), key("finetune"), key(params=2), key(data="e"), key(code="d")}
    assert len(keys) == 5
    assert key() == key()


def test_step_identity_holds_the_numbers_of_threads() -> None:
    keys = {
        identity.step_identity("distill", {}, {}, threads=threads, code="c")
        for threads in ({}, {"torch": 1}, {"torch": 2}, {"blas": 1, "torch": 1})
    }
    assert len(keys) == 4
    assert identity.step_identity("distill", {}, {}, code="c") in keys


@pytest.mark.parametrize("step", STEPS)
def test_a_step_depends_on_its_folder_on_rooms_and_on_no_other_step(step: str) -> None:
    paths = [path.relative_to(identity.PROJECT) for path in identity.code_dependencies(step)]
    assert [path for path in paths if path.parts[0] == "components"] == [Path("components", step)]
    rooms = [path for path in paths if path.parts[0] != "components"]
    assert rooms
    assert all(path.parts[0] == "decant" and len(path.parts) == 2 for path in rooms)


def test_a_room_counts_whole() -> None:
    files = {
        file.relative_to(identity.PROJECT).as_posix() for file in identity.code_files("distill")
    }
    assert {"decant/students/cnn.py", "components/distill/augment.py"} <= files
    assert {"decant/students/options/cnn.py", "components/distill/contract.py"} <= files
    assert "decant/training/fit.py" in files
    assert "decant/models/convolution.py" in files  # imported by plugins alone


def test_a_cached_thing_depends_on_what_makes_it_file_by_file() -> None:
    closure = identity.library_closure("components.distill.soft_targets")
    assert {"decant.models.teacher", "decant.data.tokens", "decant.models.heads.cnn"} <= closure
    assert "decant.models.heads.options.cnn" in closure  # loaded by name, too
    assert not any(name.startswith(("decant.students", "decant.tables")) for name in closure)


def test_steps_that_do_not_build_students_do_not_depend_on_them() -> None:
    for step in ("ingest", "tokenize", "finetune", "evaluate", "register"):
        names = {path.as_posix() for path in identity.code_dependencies(step)}
        assert not any(name.endswith("decant/students") for name in names), step


NAMES = st.sampled_from(["a", "b", "a/b.txt", "c/d/e.bin", "c/é", "Z"])
FILES = st.dictionaries(NAMES, st.binary(max_size=4), max_size=4).filter(
    lambda files: not {"a", "a/b.txt"} <= files.keys()
)
SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(
    SCALAR | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(FILES, FILES)
def test_two_folders_have_one_digest_when_their_files_are_the_same(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    def digest(files: dict[str, bytes]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return identity.content_digest(Path(folder))

    assert digest(one) == digest(dict(reversed(one.items())))
    assert (digest(one) == digest(other)) == (one == other)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_canonical_json_says_the_same_whatever_the_order(value: dict[str, Any]) -> None:
    text = identity.canonical_json(value)
    assert json.loads(text) == value
    assert identity.canonical_json(dict(reversed(value.items()))) == text
