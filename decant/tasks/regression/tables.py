"""Tables of numbers: errors, where student and teacher differ, and what DVC draws."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.tasks.regression.quality import NumberFigures, Quality
from decant.tasks.report_parts import NONE, SHOWN_ROWS, Picture, Section, Table, cut
from decant.tasks.task import Target

NOTES = (
    "Pearson's r says how near answers and labels are to a line, Spearman's rho how well the "
    "answers order the rows; 1 is perfect, 0 is none. MAE is the mean error in the unit of the "
    "data. R² is the share of the labels' variance that the answers explain: 0 is what the mean "
    "reaches, and worse answers are below.",
    "Quadratic kappa, of grades alone, is the agreement of the rounded answers beyond chance, "
    "where an error counts by its square; 1 is perfect (Cohen 1968).",
)
_BINS = 10


def summary(figures: NumberFigures) -> dict[str, str]:
    """A cell per column title."""
    found = {
        "Pearson's r": figures.pearson,
        "Spearman's rho": figures.spearman,
        "R²": figures.r2,
        "quadratic kappa": figures.quadratic_kappa,
    }
    cells = {title: NONE if value is None else f"{value:.3f}" for title, value in found.items()}
    return {**cells, "MAE": f"{figures.mae:.4g}"}


def columns(values: NDArray[np.floating[Any]], target: Target) -> dict[str, Any]:
    """Value."""
    return {"value": values[:, 0]}


def plot_tables(tested: Mapping[str, Quality], target: Target) -> dict[str, pd.DataFrame]:
    """The tables of DVC.

    confusion has a line per test row: the grades, or ten ranges of equal width of the labels, as
    text such as `2 to 3`. reliability has a line per range: in its middle, the mean label of the
    rows that each model answers there. per_class has no rows.
    """
    edges = _edges(tested["student"].true, target)
    names = np.array(_range_names(edges, target), dtype=object)
    place = {"actual": _place(tested["student"].true, edges)}
    for model in ("student", *(name for name in tested if name != "student")):
        column = "predicted" if model == "student" else f"predicted_{model}"
        place[column] = _place(tested[model].answers, edges)
    confusion = {column: names[index] for column, index in place.items()}

    bins: dict[str, Any] = {"bin_middle": (edges[:-1] + edges[1:]) / 2}
    used = np.zeros(len(names), dtype=bool)
    for model, quality in tested.items():
        index = place["predicted" if model == "student" else f"predicted_{model}"]
        rows = np.bincount(index, minlength=len(names))
        with np.errstate(invalid="ignore"):
            for column, numbers in ((model, quality.true), (f"{model}_answer", quality.answers)):
                bins[column] = np.bincount(index, numbers, minlength=len(names)) / rows
        bins[f"{model}_rows"] = rows
        used |= rows > 0
    return {
        "confusion": pd.DataFrame(confusion),
        "per_class": pd.DataFrame(columns=["label", "support", "student_f1"]),
        "reliability": pd.DataFrame(bins)[used],
    }


def sections(
    tested: Mapping[str, Quality],
    target: Target,
    texts: Sequence[str],
    numbered: Collection[int],
) -> list[Section]:
    """Answers against labels, errors, differences."""
    student, teacher = tested["student"], tested["teacher"]
    return [
        Section(
            title="Answers and labels",
            parts=[
                Picture(
                    name="predicted",
                    caption="Answers of teacher and student against the labels; on the line an "
                    "answer is right.",
                )
            ],
        ),
        Section(
            title="The student's largest errors",
            parts=[_largest(texts, tested, student.answers - student.true, "error")],
        ),
        Section(
            title="Where student and teacher differ most",
            parts=[_largest(texts, tested, student.answers - teacher.answers, "student - teacher")],
        ),
    ]


def _largest(
    texts: Sequence[str],
    tested: Mapping[str, Quality],
    differences: NDArray[np.float64],
    title: str,
) -> Table:
    """The rows with the largest differences (rows,)."""
    student, teacher = tested["student"], tested["teacher"]
    order = np.argsort(-np.abs(differences), kind="stable")[:SHOWN_ROWS]
    rows = [
        [
            cut(texts[row]),
            *(f"{one[row]:.4g}" for one in (student.true, teacher.answers, student.answers)),
            f"{differences[row]:+.4g}",
        ]
        for row in order
    ]
    return Table(columns=["text", "label", "teacher", "student", title], rows=rows, text=True)


def _edges(true: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
    """Of the grades, at most a hundred, or of ten ranges of equal width."""
    low, high = float(true.min()), float(true.max())
    if target.facts.get("ordinal") and high - low < 100:
        return np.arange(np.rint(low), np.rint(high) + 2) - 0.5
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _range_names(edges: NDArray[np.float64], target: Target) -> list[str]:
    if target.facts.get("ordinal") and edges[1] - edges[0] == 1 and edges[0] % 1 == 0.5:
        return [f"{low + 0.5:g}" for low in edges[:-1]]
    return [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]


def _place(numbers: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The range of each number; those outside are in the outermost ones."""
    return np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
