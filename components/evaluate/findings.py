"""The findings in sentences; findings.txt.j2 has the words."""

from pathlib import Path

from decant.figures.evaluation_figures import Figures
from decant.figures.templates import render_lines, template_environment


def findings(figures: Figures) -> list[str]:
    """Sentences for the head of the report, the most important first."""
    environment = template_environment(Path(__file__).parent)
    return render_lines(environment, "findings.txt.j2", figures=figures)
