"""Adds a step to the files that list the steps. What is there keeps its text and its comments."""

import ast
import re
from collections.abc import Iterable


class Flow:
    """The text of pipelines/distillation.py, and what its statements are."""

    def __init__(self, text: str) -> None:
        self._text = text
        tree = ast.parse(text)
        self._function = next(
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list
        )
        self._steps = {
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("components.")
            for alias in node.names
        }
        assigned = [node for node in self._function.body if isinstance(node, ast.Assign)]
        called = {id(node): _called(node.value) for node in assigned}
        self._calls = [node for node in assigned if called[id(node)] in self._steps]
        self._tasks = {called[id(node)]: ast.unparse(node.targets[0]) for node in self._calls}
        self._sources: dict[str, str] = {}  # expression → the variable that holds it
        for node in assigned:
            target, value = node.targets[0], node.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
                self._sources |= {ast.unparse(one): ast.unparse(name) for name, one in pairs}
            else:
                self._sources[ast.unparse(value)] = ast.unparse(target)

    def source_of(self, port: str, maker: str) -> str:
        """The expression that hands on a port: its variable, or the output of its task."""
        output = f'{self._tasks[maker]}.outputs["{port}"]'
        return self._sources.get(output.replace('"', "'"), output)

    def with_task(self, name: str, task: str, *, after: str) -> str:
        """The flow with the task: imported, with its parameters, behind another step's."""
        lines = self._text.splitlines(keepends=True)
        names = [_called(node.value) for node in self._calls]
        following = self._calls[names.index(after) + 1]
        variable = _called_as(task)
        # From the end on, so that the numbers of lines before stay true.
        loop = next(node for node in self._function.body if isinstance(node, ast.For))
        assert isinstance(loop.iter, ast.Tuple)
        looped = {ast.unparse(one): one for one in loop.iter.elts}
        lines.insert(looped[self._tasks[after]].lineno, f"{variable},\n")
        lines.insert(following.lineno - 1, f"{task.rstrip()}\n\n")
        arguments = {one.arg: one.lineno for one in self._function.args.args}
        for kind in ("key", "params"):
            lines.insert(arguments[f"{after}_{kind}"], f"    {name}_{kind}: str,\n")
        text = "".join(lines)
        place = text.index("from components.")
        return f"{text[:place]}from components.{name}.component import {name}\n{text[place:]}"


def local_names(flow: str) -> set[str]:
    """The names that pipelines/distillation.py uses: a step cannot have one of them."""
    return {node.id for node in ast.walk(ast.parse(flow)) if isinstance(node, ast.Name)}


def output_kinds(components: Iterable[str]) -> dict[str, str]:
    """Port to what KFP calls it, such as dsl.Dataset, from the components' source."""
    kinds: dict[str, str] = {}
    for text in components:
        for function in ast.parse(text).body:
            if isinstance(function, ast.FunctionDef):
                for one in function.args.args:
                    found = re.fullmatch(r"dsl\.Output\[(.+)\]", ast.unparse(one.annotation or one))
                    if found:
                        kinds[one.arg] = found[1]
    return kinds


def add_name(text: str, name: str, *, after: str) -> str:
    """Add the name to the tuple STEPS in decant/runtime/steps.py."""
    start = text.index("STEPS = (")
    place = text.index(f'    "{after}",\n', start) + len(f'    "{after}",\n')
    return f'{text[:place]}    "{name}",\n{text[place:]}'


def add_section(text: str, section: str, *, after: str) -> str:
    """Add a section to params.yaml, behind another one and before the comments of the next."""
    return _add_block(text, section, re.compile(rf"^{after}:", re.MULTILINE), re.compile(r"^\w"))


def add_stage(text: str, stage: str, *, after: str) -> str:
    """Add a stage to dvc.yaml, behind another one."""
    start = re.compile(rf"^  {after}:$", re.MULTILINE)
    return _add_block(text, stage, start, re.compile(r"^(  )?\w"))


def _add_block(text: str, block: str, start: re.Pattern[str], following: re.Pattern[str]) -> str:
    found = start.search(text)
    assert found is not None, start.pattern
    lines = text.splitlines(keepends=True)
    place = text.count("\n", 0, found.start()) + 1
    while place < len(lines) and not following.match(lines[place]):
        place += 1
    while lines[place - 1].lstrip().startswith("#") or not lines[place - 1].strip():
        place -= 1
    return "".join([*lines[:place], f"\n{block.rstrip()}\n", *lines[place:]])


def _called(value: ast.expr) -> str:
    is_call = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
    return value.func.id if is_call else ""  # type: ignore[attr-defined]


def _called_as(task: str) -> str:
    """The variable that a task's statement assigns."""
    return task.partition("=")[0].strip()
