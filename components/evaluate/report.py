"""The readable report: report.md beside its pictures, report.html with everything inside."""

import base64
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.evaluate.exported_manifest import Quantisation
from components.evaluate.findings import findings
from components.evaluate.report_tables import (
    data_rows,
    difference_table,
    latency_table,
    quality_table,
    quantisation_table,
    speedup_table,
    target_table,
    together_table,
)
from decant.figures.evaluation_figures import Figures
from decant.figures.figure_text import share
from decant.figures.quality_figures import TfidfFigures
from decant.figures.templates import template_environment
from decant.tasks.report_parts import Picture, Section
from decant.tasks.tables import notes
from decant.tasks.task import Task


def write_report(
    folder: Path,
    *,
    figures: Figures,
    task: Task,
    titles: Mapping[str, str],
    sections: Mapping[str, Sequence[Section]],
    pictures: Mapping[str, Mapping[str, Path]],
    accuracy_latency: Path,
    quantisation: Mapping[str, Quantisation],
    quick: bool,
) -> None:
    """Write report.md and report.html. Texts of the data are shortened and escaped.

    Args:
        titles: of the models.
        sections, pictures: by target; the pictures that sections name.
        accuracy_latency: the picture of score against latency.
        quick: the training was cut short, which both state.
        quantisation: by role, the tried forms as in the manifest.
    """
    environment = template_environment(Path(__file__).parent)
    environment.filters["md"] = _escape_markdown
    environment.tests["picture"] = lambda part: isinstance(part, Picture)
    score = figures.data.score
    content = {
        "figures": figures,
        "score": score,
        "quick": quick,
        "findings": findings(figures, control=titles["tfidf"]),
        "control": titles["tfidf"],
        "tfidf_terms": _terms(figures.controls.tfidf),
        "data_rows": data_rows(figures),
        "quality_table": quality_table(figures, titles),
        "difference_table": difference_table(figures, titles),
        "together_table": together_table(figures),
        "latency_table": latency_table(figures, titles),
        "speedup_table": speedup_table(figures),
        "quantisation_table": quantisation_table(quantisation, figures.data),
        "sections": _sections(figures, task, titles, sections, pictures),
        "notes": notes(task),
        "accuracy_latency": _embedded(
            accuracy_latency,
            f"Test {score.title} with 95 % intervals against latency at batch 1.",
        ),
    }
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.j2").render(content)
        (folder / name).write_text(text, "utf-8")


def _sections(
    figures: Figures,
    task: Task,
    titles: Mapping[str, str],
    sections: Mapping[str, Sequence[Section]],
    pictures: Mapping[str, Mapping[str, Path]],
) -> list[dict[str, Any]]:
    """Of all targets, pictures with their files; of several the target's name stands first."""
    facts = {one.name: one for one in figures.data.targets or ()}
    found: list[dict[str, Any]] = []
    for target in task.targets:
        of_target = list(sections[target.name])
        if target.name in facts:
            table = target_table(figures, facts[target.name], target, titles)
            of_target.insert(0, Section(title="Quality of each model", parts=[table]))
        of = f"{target.name}: " if len(task.targets) > 1 else ""
        for section in of_target:
            parts = [
                _embedded(pictures[target.name][part.name], part.caption)
                if isinstance(part, Picture)
                else part
                for part in section.parts
            ]
            found.append({"of": of, "title": section.title, "parts": parts})
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EmbeddedPicture(Picture):
    uri: str


def _embedded(file: Path, caption: str) -> _EmbeddedPicture:
    """A drawn picture; its name is that of its file."""
    uri = f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
    return _EmbeddedPicture(name=file.name, caption=caption, uri=uri)


def _terms(control: TfidfFigures) -> str:
    """What TF-IDF counts."""
    words = "words and pairs of words"
    if control.unspaced_share is None:
        return words
    return (
        f"{words}; one to three characters of scripts without blanks between words, "
        f"here {share(control.unspaced_share)} of the letters"
    )


def _escape_markdown(text: str) -> str:
    """Text that Markdown shows unchanged: without cells, links, pictures, formulas or tags."""
    tagless = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$]|^#)", r"\\\1", tagless)
