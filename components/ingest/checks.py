"""Which rows can be used, and which classes there are."""

import re
import unicodedata
from collections.abc import Sequence

from components.ingest.rows import place, reject
from components.ingest.spelling import respelled
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine, literal

GIVEN = "role IN ('validation', 'test')"


def check_rows(
    engine: Engine,
    labels: Sequence[str] | None,
    unlabelled_labels: Sequence[str],
    reporter: Reporter,
) -> list[str]:
    """Reject rows without label or known label; mark the unlabelled ones; return the classes.

    Rows of the source whose label is one of `unlabelled_labels` become unlabelled text.

    Raises:
        UserError: fewer than two classes, a class without rows in the source, or, where the
            classes are those found, a label in validation or test that the source lacks.
    """
    one = respelled([*(labels or ()), *unlabelled_labels])
    labels = None if labels is None else [one[label] for label in labels]
    marks = [one[mark] for mark in unlabelled_labels]
    _check_names(labels, marks)
    marked = f"coalesce(label, '') IN ({', '.join(map(literal, marks))})" if marks else "false"
    reject(
        engine,
        "no_label",
        "SELECT id, 'marked as unlabelled by its label ''' || label || ''' in a given split' "
        f"AS reason FROM live WHERE {marked} AND label IS NOT NULL AND {GIVEN}",
    )
    engine.run(
        f"UPDATE live SET unlabelled = true, split = 'unlabelled', label = NULL "
        f"WHERE role = 'unlabelled' OR ({marked} AND role = 'source')"
    )
    reject(
        engine,
        "no_label",
        "SELECT id, 'no label' AS reason FROM live WHERE NOT unlabelled AND label IS NULL",
    )
    classes = labels if labels is not None else _found(engine)
    unknown = f"NOT unlabelled AND label NOT IN (SELECT unnest({_list(classes)}))"
    if labels is None:
        _refuse_unseen(engine, unknown)
    found = sorted(class_sizes(engine))
    reject(
        engine,
        "unknown_label",
        "SELECT id, 'label ''' || label || ''' is not among ingest.labels' AS reason "
        f"FROM live WHERE {unknown}",
    )
    _check_classes(engine, classes, found)
    _warn_of_look_alikes(classes, reporter)
    return classes


def class_sizes(engine: Engine) -> dict[str, int]:
    """Rows of the source per class, the largest first."""
    return dict(
        engine.all(
            "SELECT label, count(*) FROM live WHERE role = 'source' AND NOT unlabelled "
            "GROUP BY label ORDER BY 2 DESC, 1"
        )
    )


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, values))}]::VARCHAR[]"


def _check_names(labels: Sequence[str] | None, unlabelled_labels: Sequence[str]) -> None:
    if labels is not None and len(set(labels)) < len(labels):
        raise UserError(
            f"ingest.labels names a class twice: {', '.join(labels)}", code="parameter-value"
        )
    if both := sorted(set(labels or ()) & set(unlabelled_labels)):
        raise UserError(
            f"'{both[0]}' is both in ingest.labels and in ingest.unlabelled_labels",
            code="parameter-conflict",
            hint="remove it from one of them",
        )


def _found(engine: Engine) -> list[str]:
    """The labels of the source, sorted; whole numbers by their value."""
    found = list(class_sizes(engine))
    if all(re.fullmatch(r"-?\d+", label) for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _refuse_unseen(engine: Engine, unknown: str) -> None:
    first = engine.first(f"SELECT id, label, role FROM live WHERE {unknown} ORDER BY id")
    if first is None:
        return
    row, label, role = first
    ((count,),) = engine.all(f"SELECT count(*) FROM live WHERE {unknown} AND role = '{role}'")
    raise UserError(
        f"{place(engine, row)}: label '{label}' has no training row "
        f"({count} rows of {role} have such labels)",
        code="label-untrained",
        hint="add training rows of that class, or list the classes in ingest.labels, "
        "which rejects rows of any other",
    )


def _check_classes(engine: Engine, classes: Sequence[str], found: Sequence[str]) -> None:
    sizes = class_sizes(engine)
    if lacking := [label for label in classes if label not in sizes]:
        raise UserError(
            f"class '{lacking[0]}' of ingest.labels has no row in ingest.source; "
            f"labels found: {', '.join(found[:20]) or 'none'}",
            code="class-empty",
            hint="correct ingest.labels or ingest.label_column",
        )
    if len(classes) < 2:
        raise UserError(
            f"only one class in the data: {', '.join(classes)}"
            if classes
            else "no row of ingest.source has both text and label",
            code="class-single" if classes else "rows-unusable",
            hint="give data with two classes or more; check ingest.label_column",
        )


def _warn_of_look_alikes(classes: Sequence[str], reporter: Reporter) -> None:
    """Classes that a person would take for one: other case, blanks, accents or invisible marks."""
    alike: dict[str, list[str]] = {}
    for label in classes:
        plain = unicodedata.normalize("NFKC", label).casefold()
        visible = "".join(one for one in plain if unicodedata.category(one) != "Cf")
        alike.setdefault(" ".join(visible.split()), []).append(label)
    shown = ["/".join(map(ascii, labels)) for labels in alike.values() if len(labels) > 1]
    if shown:
        reporter.warning(
            f"classes that look alike are learned as different ones: {', '.join(shown[:5])}; "
            "write them alike in the data"
        )
