"""What README, CONTRIBUTING and the site's pages name is there: links, commands, options, paths."""

import ast
import itertools
import re
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT
from decant.runtime.params_file import laid_over, read_params_file, read_sections
from decant.runtime.steps import STEPS
from pipelines.__main__ import main
from pipelines.arguments import _in_full
from tests.docs.documents import (
    code_blocks,
    commands,
    documents,
    inline_code,
    links,
    prose,
)

DOCUMENTS = documents()
PARAMS = PROJECT / "params.yaml"

# Folders of the repository; a path below another one is made when something runs.
TOP_FOLDERS = tuple(
    f"{folder}/"
    for folder in (
        ".github",
        "benchmarks",
        "components",
        "decant",
        "docker",
        "docs",
        "examples",
        "pipelines",
        "tests",
    )
)
# Files that only a reader makes.
NOT_IN_THE_REPOSITORY = {
    "docker/.env",
    "decant/students/attention.py",
    "decant/students/options/attention.py",
    "decant/tables/psv.py",
}
_PATH = re.compile(r"[\w./-]+")


def by_document(test: object) -> object:
    return pytest.mark.parametrize("document", DOCUMENTS, ids=str)(test)  # type: ignore[arg-type]


@by_document
def test_relative_links_lead_to_files(document: Path) -> None:
    for target in links(document):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = target.partition("#")[0]
        assert (PROJECT / document).parent.joinpath(path).exists() or _is_generated(
            document, path
        ), target


def _is_generated(document: Path, target: str) -> bool:
    """Of a page of the site that a hook makes."""
    return (
        document.parts[0] == "docs"
        and (PROJECT / document).parent.joinpath(target).resolve()
        == PROJECT / "docs/benchmarks/study.md"
    )


@by_document
def test_every_decant_command_exists_with_its_options(document: Path) -> None:
    for words in commands(document):
        if words[0] == "decant":
            _parse(main, words)
        elif words[:3] == ["python", "-m", "pipelines"]:
            _parse(main, words[2:])


def _parse(group: click.Command, words: list[str]) -> None:
    """Follow the words to a command and let it parse the rest; capitals stand for any value."""
    context = click.Context(group)
    arguments = words[1:]
    while isinstance(group, click.Group) and arguments and not arguments[0].startswith("-"):
        command = group.get_command(context, arguments[0])
        if command is None and arguments[0].isupper():  # `decant COMMAND`, `decant step NAME`
            return
        assert command is not None, f"there is no command {' '.join(words)}"
        context = click.Context(command, parent=context, info_name=arguments[0])
        group, arguments = command, arguments[1:]
    if arguments in (["--help"], []):
        return
    values, rest, _ = group.make_parser(context).parse_args(args=arguments)
    assert not rest, f"{' '.join(words)}: {rest}"
    for parameter in group.params:
        value = values.get(parameter.name)
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            assert value.isupper() or value in parameter.type.choices, words


@by_document
def test_every_override_names_a_parameter(document: Path) -> None:
    for words in commands(document):
        for option, value in itertools.pairwise(words):
            if option in ("--set", "-S") and not value.startswith("SECTION."):
                content = read_params_file(PARAMS)
                assert read_params_file(PARAMS, [_in_full(value, content)])


@by_document
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(document):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, words


@by_document
def test_parameter_files_hold_known_keys(document: Path) -> None:
    """Blocks of YAML with `params` in their title: UserError names what is unknown."""
    for block in code_blocks(document, "yaml"):
        if "params" in block.info:
            content = YAML(typ="safe").load(block.code)
            assert laid_over(read_sections(PARAMS), content)["seed"] == 13


@by_document
def test_every_path_of_the_repository_exists(document: Path) -> None:
    words = [word for command in commands(document) for word in command]
    for word in (*inline_code(document), *words):
        if word.startswith(TOP_FOLDERS) and _PATH.fullmatch(word) and not _has_placeholder(word):
            assert word in NOT_IN_THE_REPOSITORY or (PROJECT / word).exists(), word


def _has_placeholder(path: str) -> bool:
    """A part in capitals, such as components/NAME/step.py; README.md is not one."""
    return bool(re.search(r"[A-Z]{3,}", path.replace("README", "")))


@by_document
def test_python_examples_import_what_exists(document: Path) -> None:
    for block in code_blocks(document, "python"):
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and node.module:
                if f"{node.module.replace('.', '/')}.py" in NOT_IN_THE_REPOSITORY:
                    continue
                module = __import__(node.module, fromlist=["_"])
                for name in node.names:
                    assert hasattr(module, name.name), f"{node.module}.{name.name}"


def test_every_environment_variable_is_documented() -> None:
    pattern = re.compile(r"\bDECANT_[A-Z_]*[A-Z]\b")
    used: set[str] = set()
    for folder in ("decant", "components", "pipelines", "docker", "benchmarks"):
        for file in (PROJECT / folder).rglob("*"):
            if file.suffix in (".py", ".yaml") or file.name == "Dockerfile":
                used |= set(pattern.findall(file.read_text("utf-8")))
    assert used == set(pattern.findall(prose(Path("docs/reference/environment.md"))))


def test_the_flow_picture_names_every_step() -> None:
    named = re.findall(r"<text x[^>]*>(\w+)</text>", (PROJECT / "docs/flow.svg").read_text())
    assert sorted(named) == sorted(STEPS)


def test_the_readme_is_short_and_starts_with_the_model_in_use() -> None:
    lines = (PROJECT / "README.md").read_text().splitlines()
    assert len(lines) <= 130
    assert "from decant import TextClassifier" in lines[:40]
