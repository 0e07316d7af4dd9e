"""The findings in sentences; findings.txt.j2 has the words."""

from pathlib import Path

from decant.figures.evaluation_figures import Figures
from decant.figures.templates import render_lines, template_environment


def findings(figures: Figures, *, control: str = "TF-IDF + logistic regression") -> list[str]:
    """Sentences for the head of the report, the most important first.

    Args:
        control: how the control without a network is called.
    """
    return _lines("findings.txt.j2", figures, control=control)


def class_findings(figures: Figures) -> list[str]:
    """Those of them about classes of which the student has no row right; [] for none."""
    return _lines("class_findings.txt.j2", figures)


def _lines(template: str, figures: Figures, **more: object) -> list[str]:
    environment = template_environment(Path(__file__).parent)
    return render_lines(environment, template, figures=figures, score=figures.data.score, **more)
