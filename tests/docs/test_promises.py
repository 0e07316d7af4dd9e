"""Every promise names a test, and every test that is named is one that pytest collects."""

import ast
import re
from pathlib import Path

import pytest

from decant.runtime.identity import PROJECT

PAGE = PROJECT / "docs" / "concepts" / "promises.md"
TEXT = PAGE.read_text("utf-8")
PROOF = re.compile(r"`(tests/[\w/]+/test_\w+\.py)::(test_\w+)`")
PROMISES = re.findall(r"(?ms)^- (.+?)(?=^- |^## |\Z)", TEXT)
SECTIONS = re.findall(r"(?m)^## (.+)$", TEXT)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one[:40])
def test_a_promise_is_a_sentence_with_its_proof(promise: str) -> None:
    words = PROOF.sub("", promise)
    assert PROOF.search(promise), promise
    assert "tests/" not in words, "a proof is written as `tests/FILE.py::test_NAME`"
    assert re.fullmatch(r"[A-Z`][^\n]+\.[\s,]*", words), "one sentence, then its proofs"


@pytest.mark.parametrize("proof", sorted(set(PROOF.findall(TEXT))), ids="::".join)
def test_a_proof_is_there(proof: tuple[str, str]) -> None:
    file, name = PROJECT / proof[0], proof[1]
    assert file.is_file(), proof[0]
    assert name in collected(file)


def test_nothing_was_overlooked() -> None:
    """The patterns above find what a reader sees."""
    assert len(PROMISES) == TEXT.count("\n- ") >= len(SECTIONS) >= 10
    assert len(PROOF.findall(TEXT)) == TEXT.count("::")
    assert "concepts/promises.md" in (PROJECT / "mkdocs.yml").read_text("utf-8")


def collected(file: Path) -> set[str]:
    """The functions that pytest takes for tests: of the module itself, not marked to be skipped."""
    found = [
        node
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    skipped = ("pytest.mark.skip(", "pytest.mark.xfail")
    return {
        node.name
        for node in found
        if not any(ast.unparse(one).startswith(skipped) for one in node.decorator_list)
    }
