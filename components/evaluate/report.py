"""The readable report: report.md beside its pictures, report.html with everything inside."""

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.exported_manifest import Quantisation
from components.evaluate.findings import findings
from components.evaluate.quality import Quality
from components.evaluate.report_tables import (
    class_table,
    data_rows,
    difference_table,
    disagreement_table,
    error_table,
    latency_table,
    quality_table,
    quantisation_table,
    speedup_table,
)
from decant.figures.evaluation_figures import Figures
from decant.figures.figure_text import share
from decant.figures.quality_figures import TfidfFigures
from decant.figures.templates import template_environment

_CAPTIONS = {
    "accuracy_latency": "Test accuracy with 95 % intervals against latency at batch 1.",
    "confusion": "Confusion of teacher and student: rows are the labels, columns the answers.",
    "reliability": "Accuracy against confidence in 15 bins, and how many rows fall into each.",
    "per_class_f1": "F1 of each class for teacher, student and controls.",
}


def write_report(
    folder: Path,
    *,
    figures: Figures,
    labels: Sequence[str],
    numbered: Collection[int],
    quality: Mapping[str, Quality],
    test: pd.DataFrame,
    probabilities: Mapping[str, NDArray[np.float32]],
    pictures: Mapping[str, Path],
    quantisation: Mapping[str, Quantisation],
    quick: bool,
) -> None:
    """Write report.md and report.html. Texts of the data are shortened and escaped.

    Args:
        numbered: indices of the classes that pictures show by number.
        quick: the training was cut short, which both state.
        quantisation: by role, the tried forms as in the manifest.
    """
    environment = template_environment(Path(__file__).parent)
    environment.filters["md"] = _escape_markdown
    content = {
        "figures": figures,
        "quick": quick,
        "findings": findings(figures),
        "numbered": bool(numbered),
        "tfidf_terms": _terms(figures.controls.tfidf),
        "data_rows": data_rows(figures, labels),
        "quality_table": quality_table(figures),
        "difference_table": difference_table(figures),
        "latency_table": latency_table(figures),
        "speedup_table": speedup_table(figures),
        "quantisation_table": quantisation_table(quantisation),
        "class_table": class_table(labels, quality, numbered),
        "error_table": error_table(labels, test, probabilities["student"]),
        "disagreement_table": disagreement_table(labels, test, probabilities),
        "pictures": [
            {
                "name": name,
                "file": file.name,
                "caption": _CAPTIONS[name],
                "uri": f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}",
            }
            for name, file in pictures.items()
        ],
    }
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.j2").render(content)
        (folder / name).write_text(text, "utf-8")


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
