"""reference/parameters.md from params.yaml: its comments are the documentation of the parameters.

In the page a line `<!-- parameters: SECTION -->` stands where the tables of a section go. What a
parameter may be comes from the types that validate it, so that the page cannot be out of date.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from json_schema_words import leaves

PROJECT = Path(__file__).resolve().parents[2]
PARAMS_FILE = PROJECT / "params.yaml"

_MARKER = re.compile(r"^<!-- parameters: (?P<section>\w+) -->$", re.MULTILINE)
_LINE = re.compile(
    r"(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<comment>.*))?"
)
_COMMENT = re.compile(r" *# ?(?P<text>.*)")
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Parameter:
    """A line of params.yaml.

    Attributes:
        path: such as finetune.training.epochs.
        value: as the file has it; empty for a group of parameters.
        comment: behind the value.
        above: the whole lines of comment above it, joined.
    """

    path: str
    value: str
    comment: str
    above: str


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    parameters = list(read_parameters(PARAMS_FILE.read_text("utf-8")))
    return _MARKER.sub(lambda marker: section_tables(parameters, marker["section"]), markdown)


def read_parameters(text: str) -> Iterator[Parameter]:
    """The parameters of a file in the form of params.yaml: a key per line, comments in English.

    Raises ValueError for a line of another form.
    """
    parents: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            above = []
        elif comment := _COMMENT.fullmatch(line):
            above.append(comment["text"])
        elif found := _LINE.fullmatch(line):
            indent = len(found["indent"])
            parents = [(depth, name) for depth, name in parents if depth < indent]
            path = ".".join([*(name for _, name in parents), found["key"]])
            yield Parameter(path, found["value"] or "", found["comment"] or "", " ".join(above))
            parents.append((indent, found["key"]))
            above = []
        else:
            raise ValueError(f"params.yaml has a line that is not a parameter: {line!r}")


def section_tables(parameters: list[Parameter], section: str) -> str:
    """Markdown tables of a section; a comment on lines of its own stands above a table.

    Raises ValueError for a section that the file does not have.
    """
    allowed = allowed_values(section)
    blocks: list[list[str]] = [[]]
    group, about = section, {}
    for parameter in parameters:
        top, _, name = parameter.path.partition(".")
        if top != section:
            continue
        if parameter.above:
            blocks += [[parameter.above], []]
        if not parameter.value:
            about[parameter.path] = parameter.comment
            if not name and parameter.comment:
                blocks += [[f"What it is for: {parameter.comment}."], []]
            continue
        if group != (group := parameter.path.rpartition(".")[0]):
            title = group.partition(".")[2]
            blocks += [[f"**{title}** {about.get(group, '')}"], []] if title else [[]]
        what = allowed.get(parameter.path, "")
        cells = (f"`{name or top}`", _shown(parameter.value), what, parameter.comment)
        blocks[-1].append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    if len(blocks) == 1 and not blocks[0]:
        raise ValueError(f"params.yaml has no section {section}")
    head = "| parameter | default | allowed | meaning |\n|---|---|---|---|\n"
    return "\n\n".join(
        (head if block[0].startswith("|") else "") + "\n".join(block) for block in blocks if block
    )


def _shown(value: str) -> str:
    short = value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 4]} ..."
    return f"`{short}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def allowed_values(section: str) -> dict[str, str]:
    """In words, what each parameter of a section may be, by its path.

    From the types that validate it; a plugin's parameters from the plugin's own `Config`.
    """
    import pydantic

    from decant.models.heads import options as heads
    from decant.runtime.plugins import plugins
    from decant.runtime.steps import STEPS, load_step
    from decant.students import options as students
    from pipelines.registry.promotion_gate import PromotionGate

    found: dict[str, str] = {}

    def add(settings_class: Any, path: str) -> None:
        schema = pydantic.TypeAdapter(settings_class).json_schema()
        found.update((leaf.path, leaf.allowed) for leaf in leaves(schema, path))

    if section in STEPS:
        add(load_step(section).params, section)
    elif section == "promotion":
        add(PromotionGate, section)
    for package, path in ((heads, "finetune.heads"), (students, "transfer_weights.students")):
        if path.startswith(f"{section}."):
            for plugin in plugins(package):
                add(plugin.Config, f"{path}.{plugin.__name__.rpartition('.')[2]}")
    return found
