"""Every mistake of a user has a stable code, and every code is in use."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant.runtime.error_codes import ERROR_CODES
from decant.runtime.errors import UserError, show_error
from decant.runtime.identity import PROJECT

FOLDERS = ("decant", "components", "pipelines", "benchmarks", "docker")


@pytest.fixture(scope="module")
def sources() -> dict[Path, ast.Module]:
    files = [file for folder in FOLDERS for file in sorted((PROJECT / folder).rglob("*.py"))]
    return {file: ast.parse(file.read_text("utf-8")) for file in files}


def test_every_error_has_a_literal_known_code(sources: dict[Path, ast.Module]) -> None:
    kinds = _kinds(sources)
    assert {"UserError", "ClusterError", "LostRace"} <= kinds
    wrong = [
        f"{file.relative_to(PROJECT)}:{call.lineno}"
        for file, call in _constructions(sources, kinds)
        if (codes := _codes(call)) is None or not set(codes) <= set(ERROR_CODES)
    ]
    assert not wrong


def test_an_endless_word_is_shown_by_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/folder" * 500
    show_error(UserError(f"{path} has '{'x' * 100_000}' in it", code="file-invalid"))
    shown = capsys.readouterr().err
    assert path in shown and "100,002 characters) in it" in shown
    assert len(shown) < 5000


def test_every_code_is_in_use(sources: dict[Path, ast.Module]) -> None:
    used: set[str] = set()
    for _, call in _constructions(sources, _kinds(sources)):
        used.update(_codes(call) or ())
    assert set(ERROR_CODES) - used == set()


def test_codes_are_kebab_case_and_explained_in_a_sentence() -> None:
    assert [code for code in ERROR_CODES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []
    assert [code for code, text in ERROR_CODES.items() if not re.fullmatch(r"\w.+\.", text)] == []


def test_an_unknown_code_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(ValueError, match="colum-unknown"):
        UserError("no column", code="colum-unknown")


def _kinds(sources: dict[Path, ast.Module]) -> set[str]:
    """UserError and the names of its subclasses."""
    classes = [
        (node.name, {_name(base) for base in node.bases})
        for tree in sources.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    kinds = {"UserError"}
    while more := {name for name, bases in classes if bases & kinds} - kinds:
        kinds |= more
    return kinds


def _constructions(
    sources: dict[Path, ast.Module], kinds: set[str]
) -> Iterator[tuple[Path, ast.Call]]:
    for file, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in kinds:
                yield file, node


def _codes(call: ast.Call) -> list[str] | None:
    """The codes written in a call: none where it passes on another error's, None where unclear."""
    value = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    choices, codes = [value], []
    while choices:
        choice = choices.pop()
        if isinstance(choice, ast.IfExp):
            choices += [choice.body, choice.orelse]
        elif isinstance(choice, ast.Constant) and isinstance(choice.value, str):
            codes.append(choice.value)
        elif not (isinstance(choice, ast.Attribute) and choice.attr == "code"):
            return None
    return codes


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
