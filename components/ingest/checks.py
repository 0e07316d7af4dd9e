"""Which rows can be used, and which labels there are."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from components.ingest.rows import place, reject
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of
from decant.tasks.spelling import respelled

GIVEN = "role IN ('validation', 'test')"
_LABELLED_SOURCE = "role = 'source' AND NOT unlabelled"


def check_rows(
    engine: Engine, targets: Sequence[Declared], marks: Sequence[str], reporter: Reporter
) -> list[Declared]:
    """Reject rows without label or known label, mark the unlabelled ones; the targets' labels.

    Rows of the source without a known label of any target, or whose only label is one of `marks`,
    become unlabelled text.

    Args:
        marks: ingest.unlabelled_labels, respelled.

    Returns:
        the targets with their labels: those listed, or those found.

    Raises:
        UserError: fewer than two labels, a label without rows in the source, or, where the labels
            are those found, one in validation or test that the source lacks; or a target without
            any label.
    """
    targets = [_respelled_labels(target, marks) for target in targets]
    _settle_unknown(engine, targets, marks)
    _refuse_empty_targets(engine, targets)
    return [_check_target(engine, target, reporter) for target in targets]


def label_sizes(engine: Engine, target: Declared) -> dict[str, int]:
    """Rows of the source per label of a target, the largest first."""
    each = rows_of(target).each_label(target.sql)
    return dict(
        engine.all(
            f"SELECT label, count(*) FROM ({each}) WHERE role = 'source' "
            "GROUP BY label ORDER BY 2 DESC, 1"
        )
    )


def _respelled_labels(target: Declared, marks: Sequence[str]) -> Declared:
    if target.labels is None:
        return target
    one = respelled(target.labels)
    labels = tuple(one[label] for label in target.labels)
    if len(set(labels)) < len(labels):
        raise UserError(
            f"{target.labels_key} names a class twice: {', '.join(labels)}", code="parameter-value"
        )
    if both := sorted(set(labels) & set(marks)):
        raise UserError(
            f"'{both[0]}' is both in {target.labels_key} and in ingest.unlabelled_labels",
            code="parameter-conflict",
            hint="remove it from one of them",
        )
    return replace(target, labels=labels)


def _settle_unknown(engine: Engine, targets: Sequence[Declared], marks: Sequence[str]) -> None:
    names = [target.sql for target in targets]
    if len(targets) > 1:  # each cell may be missing: what is left decides
        marks = [*marks, ""]
    cells = {target.sql: rows_of(target).unknown(target.sql, marks) for target in targets}
    if len(targets) > 1:
        changes = ", ".join(
            f"{name} = CASE WHEN {cell} THEN NULL ELSE {name} END" for name, cell in cells.items()
        )
        engine.run(f"UPDATE live SET {changes} WHERE {' OR '.join(cells.values())}")
    marked = " AND ".join(cells.values())
    missing = " AND ".join(f"{name} IS NULL" for name in names)
    shown = rows_of(targets[0]).shown(names[0])
    reject(
        engine,
        "no_label",
        f"SELECT id, 'marked as unlabelled by its label ''' || {shown} || ''' in a given split' "
        f"AS reason FROM live WHERE {marked} AND NOT ({missing}) AND {GIVEN}",
    )
    nothing = ", ".join(f"{name} = NULL" for name in names)
    engine.run(
        f"UPDATE live SET unlabelled = true, split = 'unlabelled', {nothing} "
        f"WHERE role = 'unlabelled' OR ({marked} AND role = 'source')"
    )
    reject(
        engine,
        "no_label",
        f"SELECT id, 'no label' AS reason FROM live WHERE NOT unlabelled AND {missing}",
    )


def _refuse_empty_targets(engine: Engine, targets: Sequence[Declared]) -> None:
    """Raises UserError for a target that no row of the source has a label of."""
    for target in targets:
        if engine.first(
            f"SELECT 1 FROM live WHERE {_LABELLED_SOURCE} AND {target.sql} IS NOT NULL"
        ):
            continue
        if len(targets) == 1:
            raise UserError(
                "no row of ingest.source has both text and label",
                code="rows-unusable",
                hint=f"give data with labels; check {target.column_key}",
            )
        names = [name for (name,) in engine.all("SELECT name FROM files WHERE role = 'source'")]
        raise UserError(
            f"target '{target.name}': no row of {', '.join(names[:5])} with a text has a label in "
            f"column '{target.column}'",
            code="labels-missing",
            hint=f"check {target.column_key}, or remove the target",
        )


def _check_target(engine: Engine, target: Declared, reporter: Reporter) -> Declared:
    kind = rows_of(target)
    kind.check(engine, target)
    if not kind.HAS_LABELS:
        return target
    sizes = label_sizes(engine, target)
    labels = target.labels if target.labels is not None else _in_order(list(sizes))
    outside = kind.outside(target.sql, labels)
    unknown = f"NOT unlabelled AND {outside} IS NOT NULL"
    if target.labels is None:
        _refuse_unseen(engine, target, outside)
    count = reject(
        engine,
        "unknown_label",
        f"SELECT id, 'label ''' || {outside} || ''' is not among {target.labels_key}' AS reason "
        f"FROM live WHERE {unknown}",
    )
    if count and target.labels is not None:
        _warn_of_rejected_labels(engine, target, count, reporter)
    _check_labels(engine, target, labels, sorted(sizes))
    _warn_of_labels_of_all(engine, target, reporter)
    _warn_of_look_alikes(labels, reporter)
    return replace(target, labels=tuple(labels))


def _in_order(found: list[str]) -> list[str]:
    """Sorted; whole numbers by their value."""
    if all(re.fullmatch(r"-?\d+", label) for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _refuse_unseen(engine: Engine, target: Declared, outside: str) -> None:
    unknown = f"NOT unlabelled AND {outside} IS NOT NULL"
    first = engine.first(
        f"SELECT id, {outside} AS outside, role FROM live WHERE {unknown} ORDER BY id"
    )
    if first is None:
        return
    row, label, role = first
    ((count,),) = engine.all(f"SELECT count(*) FROM live WHERE {unknown} AND role = '{role}'")
    raise UserError(
        f"{place(engine, row)}: label '{label}' has no training row "
        f"({count} rows of {role} have such labels)",
        code="label-untrained",
        hint=f"add training rows of that class, or list the classes in {target.labels_key}, "
        "which rejects rows of any other",
    )


def _warn_of_rejected_labels(
    engine: Engine, target: Declared, count: int, reporter: Reporter
) -> None:
    row, reason = engine.all("SELECT id, reason FROM newly ORDER BY id LIMIT 1")[0]
    reporter.warning(
        f"{count} rows have a label that is not in {target.labels_key} and were rejected; the "
        f"first is {place(engine, row)}: {reason}"
    )


def _check_labels(
    engine: Engine, target: Declared, labels: Sequence[str], found: Sequence[str]
) -> None:
    sizes = label_sizes(engine, target)
    if lacking := [label for label in labels if label not in sizes]:
        raise UserError(
            f"class '{lacking[0]}' of {target.labels_key} has no row in ingest.source; "
            f"labels found: {', '.join(found[:20]) or 'none'}",
            code="class-empty",
            hint=f"correct {target.labels_key} or {target.column_key}",
        )
    if len(labels) < 2:
        raise UserError(
            f"only one class in the data: {', '.join(labels)}"
            if labels
            else f"no row of ingest.source has a label in column '{target.column}'",
            code="class-single" if labels else "rows-unusable",
            hint=f"give data with two classes or more; check {target.column_key}",
        )


def _warn_of_labels_of_all(engine: Engine, target: Declared, reporter: Reporter) -> None:
    """Warn of labels that every row has: there is nothing to learn of them."""
    known = f"{_LABELLED_SOURCE} AND {target.sql} IS NOT NULL"
    ((rows,),) = engine.all(f"SELECT count(*) FROM live WHERE {known}")
    if of_all := [label for label, count in label_sizes(engine, target).items() if count == rows]:
        reporter.warning(
            f"every labelled row of ingest.source has the label {', '.join(of_all[:5])}: there is "
            "nothing to learn of it"
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
