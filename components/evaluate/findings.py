"""The findings in sentences; findings.txt.j2 has the words."""

from pathlib import Path

from decant.figures.evaluation_figures import Figures
from decant.figures.templates import render_lines, template_environment


def findings(figures: Figures) -> list[str]:
    """Sentences for the head of the report, the most important first."""
    return _lines("findings.txt.j2", figures)


def class_findings(figures: Figures) -> list[str]:
    """Those of them about classes of which the student has no row right; [] for none."""
    return _lines("class_findings.txt.j2", figures)


def _lines(template: str, figures: Figures) -> list[str]:
    return render_lines(template_environment(Path(__file__).parent), template, figures=figures)
