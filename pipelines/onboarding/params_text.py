"""Parameters as YAML text: a small file of what differs, or params.yaml with values replaced.

ruamel's round trip would rewrite lines that nobody changed (`null` becomes empty, comments move).
So the places of the values come from its parser, and everything around them stays as it is.
"""

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from decant.runtime.errors import UserError
from pipelines.onboarding.parameter_changes import Change

# Plain in YAML 1.2, but something else than text in 1.1, which other readers follow.
_TEXT_IN_1_2_ONLY = re.compile(r"(?i)y|n|yes|no|on|off|\d+(:\d+)+")


def small_file(changes: Iterable[Change], heading: Sequence[str]) -> str:
    """A parameter file with these values alone, each with its reason as a comment."""
    tree: dict[str, Any] = {}
    for change in changes:
        *parents, key = change.path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = change
    lines = [f"# {line}".rstrip() for line in heading]
    for name, value in tree.items():
        lines += ["", *_lines({name: value}, 0)]
    return "\n".join(lines) + "\n"


def edited(text: str, changes: Iterable[Change]) -> str:
    """The text with the values replaced, and every other byte unchanged.

    Raises UserError for a path that the text lacks.
    """
    root = YAML().compose(text)
    spans = sorted(((_span(root, one.path, text), one) for one in changes), key=_start)
    for (start, end), change in reversed(spans):
        value = as_yaml(change.value)
        before = "" if start == 0 or text[start - 1].isspace() else " "
        text = f"{text[:start]}{before}{value}{text[end:]}"
    return text


def commented_values(file: Path) -> list[Change]:
    """Every value of a YAML file of sections, with the comment on its line as the reason."""
    content = YAML().load(file.read_text("utf-8"))
    return list(_commented(content, ()))


def as_yaml(value: Any) -> str:
    """On one line, so that it fits between a key and a comment."""
    writer = YAML()
    writer.default_flow_style = True
    writer.width = 1_000_000
    writer.representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    stream = io.StringIO()
    writer.dump([_quoted(value)], stream)
    return stream.getvalue().strip()[1:-1]


def _lines(tree: dict[str, Any], depth: int) -> Iterable[str]:
    for key, value in tree.items():
        indent = "  " * depth
        if isinstance(value, Change):
            comment = f" # {' '.join(value.reason.split())}" if value.reason else ""
            yield f"{indent}{key}: {as_yaml(value.value)}{comment}"
        else:
            yield f"{indent}{key}:"
            yield from _lines(value, depth + 1)


def _quoted(value: Any) -> Any:
    if isinstance(value, str) and _TEXT_IN_1_2_ONLY.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return [_quoted(one) for one in value] if isinstance(value, list) else value


def _start(span: tuple[tuple[int, int], Change]) -> int:
    return span[0][0]


def _span(root: Node, path: str, text: str) -> tuple[int, int]:
    """Where the value of a dotted path starts and ends in the text."""
    node, name = root, root
    for part in path.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        found = next(((key, value) for key, value in pairs if key.value == part), None)
        if found is None:
            raise UserError(
                f"no parameter '{path}' in the file",
                code="parameter-missing",
                hint="add it again",
            )
        name, node = found
    if isinstance(node, ScalarNode) and not node.value and not node.style:
        after_colon = text.index(":", name.end_mark.index) + 1  # no value: its mark is elsewhere
        return after_colon, after_colon
    return node.start_mark.index, _end(node)


def _end(node: Node) -> int:
    """A block's own mark is behind the comments that follow it."""
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _commented(content: Any, parents: tuple[str, ...]) -> Iterable[Change]:
    for key, value in content.items():
        path = (*parents, str(key))
        if isinstance(value, dict):
            yield from _commented(value, path)
            continue
        tokens = content.ca.items.get(key) or [None] * 4
        comment = tokens[2].value if tokens[2] else ""
        reason = comment.partition("\n")[0].lstrip("# ").strip()
        yield Change(path=".".join(path), value=_plain(value), reason=reason)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, list) else value
