"""The model card: purpose, quality, limits and origin of the model.

Its sections follow Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from jinja2 import Template

from components.register.version_tags import Evidence, target_figures
from decant.figures.figure_set import FigureSet
from decant.figures.figure_text import one_line, share, share_range
from decant.figures.metrics_file import as_json, dotted
from decant.figures.templates import template_environment
from decant.inference.manifest_task import manifest_task
from decant.tasks.card import CardWords, card_words, hub_metrics
from decant.tasks.task import Task

# MLflow's column, in characters: SQL counts a Chinese one as one. PostgreSQL and MySQL refuse more.
DESCRIPTION_CHARACTERS = 5000

_LINEAGE = "decant."
_NEEDED_LINEAGE = ("teacher_run", "test_digest", "commit", "identity", "params", "dvc_lock")
_LEFT_OUT_FIRST = ("use", "intended_use", "limits", "data", "figures")
_FEWEST_LABELS = 5  # are shown, or a section is left out for them
_FEWEST_LABELS_CHARACTERS = 500  # of all five: longer ones are not worth a section


def model_card(name: str, evidence: Evidence, tags: Mapping[str, str]) -> str:
    """The card as Markdown.

    Args:
        tags: of the model version; those of Decant are its lineage.
    """
    return _template().render(_values(name, evidence, tags))


def version_description(
    name: str,
    evidence: Evidence,
    tags: Mapping[str, str],
    *,
    whole_card: str,
    limit: int = DESCRIPTION_CHARACTERS,
) -> str:
    """The card as the description of a version: whole where it fits, else shortened.

    First the lists are shortened: the lineage to what is needed to find the rest, then the labels.
    Then whole sections are left out: use, intended use, limits, data, figures. Last goes the end of
    the lineage, which begins with the teacher's run and the digest of the test rows then. Nothing
    is cut within a line.

    Args:
        whole_card: where it is, such as `README.md of run 0a1b`.
        limit: in characters.
    """
    values = _values(name, evidence, tags)
    template = _template()
    if len(card := template.render(values)) <= limit:
        return card
    lineage = values["lineage"]
    assert isinstance(lineage, dict)
    values["note"] = f"Shortened to {limit:,} characters. The whole card: {whole_card}."
    values["lineage"] = {
        key: lineage[key] for key in (*_NEEDED_LINEAGE, *lineage) if key in lineage
    }
    needed = sum(key in lineage for key in _NEEDED_LINEAGE)
    labels = manifest_task(evidence.manifest).outputs
    first = labels[:_FEWEST_LABELS]
    fewest = len(first) if len("".join(first)) <= _FEWEST_LABELS_CHARACTERS else 0

    for left_out in range(len(_LEFT_OUT_FIRST) + 1):
        blocks = [block for block in template.blocks if block not in _LEFT_OUT_FIRST[:left_out]]

        def with_labels(count: int, blocks: Sequence[str] = blocks, more: int = 0) -> str:
            shown = {"shown_labels": count, "shown_lineage": needed + more}
            return _rendered(template, blocks, values | shown)

        count = _most(with_labels, len(labels), limit)
        if count < fewest:
            continue
        if count < len(labels):
            return with_labels(count)

        def with_more_lineage(more: int, blocks: Sequence[str] = blocks) -> str:
            return with_labels(len(labels), blocks, more)

        return with_more_lineage(_most(with_more_lineage, len(lineage) - needed, limit))

    def with_lineage(count: int) -> str:
        shown = {"shown_labels": 0, "shown_lineage": count}
        return _rendered(template, ("head", "lineage"), values | shown)

    return with_lineage(_most(with_lineage, len(lineage), limit))


def _most(text: Callable[[int], str], count: int, limit: int) -> int:
    """The highest number, at most `count`, with which the text fits; -1 when none does."""
    return bisect_right(range(count + 1), limit, key=lambda number: len(text(number))) - 1


def _rendered(template: Template, blocks: Sequence[str], values: Mapping[str, object]) -> str:
    context = template.new_context(dict(values))
    return "".join("".join(template.blocks[block](context)) for block in blocks)


@cache
def _template() -> Template:
    return template_environment(Path(__file__).parent).get_template("model_card.md.j2")


def _values(name: str, evidence: Evidence, tags: Mapping[str, str]) -> dict[str, object]:
    lineage = {
        tag.removeprefix(_LINEAGE): value
        for tag, value in sorted(tags.items())
        if tag.startswith(_LINEAGE)
    }
    task = manifest_task(evidence.manifest)
    words = card_words(task)
    return {
        "name": name,
        "note": "",
        "student": evidence.manifest,
        "words": words,
        "shown_labels": len(task.outputs),
        "figures": evidence.figures,
        "shown_score": partial(_shown_score, words),
        "shown_interval": partial(_shown_interval, words),
        "by_target": _by_target(task, evidence),
        "calibration": _calibration(task, evidence),
        "data": {
            key: value
            for key, value in sorted(dotted(evidence.figures.data).items())
            if not isinstance(value, list)
        },
        "lineage": lineage,
        "shown_lineage": len(lineage),
    }


def _shown_score(words: CardWords, model: FigureSet) -> str:
    score = as_json(model).get("score", as_json(model).get("accuracy"))
    assert isinstance(score, float)
    return share(score) if words.is_share else f"{score:.3f}"


def _shown_interval(words: CardWords, model: FigureSet) -> str:
    """Empty where the model has none."""
    content = as_json(model)
    bounds = content.get("score_interval", content.get("accuracy_interval"))
    if not isinstance(bounds, list):
        return ""
    low, high = (end for end in bounds if isinstance(end, float))
    return share_range((low, high)) if words.is_share else f"{low:.3f} to {high:.3f}"


def _by_target(task: Task, evidence: Evidence) -> list[tuple[str, ...]]:
    """Rows of target, figure, student, teacher; none of classes alone, whose table has it all."""
    models = [
        target_figures(task, model)
        for model in (evidence.figures.student, evidence.figures.teacher)
    ]
    if not all(models):
        return []
    return [
        (
            f"`{one_line(target.name)}`",
            title,
            *(f"{of_model[target.name][name]:.3f}" for of_model in models),
        )
        for target in task.targets
        for name, _, title in hub_metrics(target)
        if all(name in of_model[target.name] for of_model in models)
    ]


def _calibration(task: Task, evidence: Evidence) -> dict[str, float]:
    """The calibration errors of the student, by whose they are."""
    student = evidence.figures.student
    if not (by_target := target_figures(task, student)):
        ece = as_json(student).get("ece")
        return {"The score is": ece} if isinstance(ece, float) else {}
    return {
        f"The probabilities of `{one_line(name)}` are": figures["ece"]
        for name, figures in by_target.items()
        if "ece" in figures
    }
