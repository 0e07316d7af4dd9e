"""Classes with too few rows to be split: refused, dropped, or kept for training alone."""

from components.ingest.checks import GIVEN, class_sizes
from components.ingest.contract import RareClasses
from components.ingest.rows import reject
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine, literal

_SHOWN = 5


def settle_rare_classes(
    engine: Engine, labels: list[str], min_rows: int | None, policy: RareClasses, reporter: Reporter
) -> tuple[list[str], list[str]]:
    """The classes that stay, and those of them whose rows only train.

    Args:
        min_rows: a class with fewer is rare; None: one for training and each split that is made.

    Raises UserError where the policy is to refuse and a class is too small, or too few would stay.
    """
    if min_rows is None:
        given = engine.all(f"SELECT DISTINCT role FROM files WHERE {GIVEN}")
        min_rows = 3 - len(given)
    rare = {label: rows for label, rows in class_sizes(engine).items() if rows < min_rows}
    if not rare:
        return labels, []
    shown = ", ".join(f"'{label}' ({rows})" for label, rows in list(rare.items())[:_SHOWN])
    more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
    what = (
        f"{len(rare)} class{'es have' if len(rare) > 1 else ' has'} fewer than {min_rows} rows "
        f"in ingest.source: {shown}{more}"
    )
    if policy == "refuse":
        raise UserError(
            what,
            code="classes-rare",
            hint="add rows; or set ingest.rare_classes to train_only (they are trained, not "
            "tested) or to drop (their rows are rejected); ingest.min_rows_per_class is the limit",
        )
    if policy == "train_only":
        reporter.warning(f"{what}; they are trained, but neither validated nor tested")
        return labels, list(rare)
    dropped = ", ".join(map(literal, rare))
    reject(
        engine,
        "rare_class",
        f"SELECT id, 'class ''' || label || ''' has fewer than {min_rows} rows' AS reason "
        f"FROM live WHERE label IN ({dropped})",
    )
    reporter.warning(f"{what}; their rows were rejected")
    left = [label for label in labels if label not in rare]
    if len(left) < 2:
        raise UserError(
            f"{len(left)} class{'' if len(left) == 1 else 'es'} left: {what}",
            code="class-single",
            hint="lower ingest.min_rows_per_class, or add rows",
        )
    return left, []
