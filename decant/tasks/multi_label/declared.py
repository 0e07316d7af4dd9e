"""Parameters of a target with any number of labels: in one column, or in a column each."""

from dataclasses import replace

from decant.runtime.errors import UserError
from decant.tasks.declared import Declared

_NAME = "labels"  # of the only target, where its labels have columns


def checked(target: Declared) -> Declared:
    """Columns of 0 and 1 are the labels, in their order, and need no separator."""
    options, where = target.options, target.where
    names = options.label_columns
    if not names:
        return target
    at = where if where != "ingest" else f"ingest.kinds.{target.kind}"
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(
            f"{at}.label_columns: {', '.join(names)}: two columns or more, each once, are needed",
            code="parameter-value",
            hint="of one column of 0 and 1 make the kind single_label",
        )
    for other, given in (("separator", options.separator), ("labels", target.labels)):
        if given is not None:
            raise UserError(
                f"{where}: label_columns and {other} exclude each other",
                code="parameter-conflict",
                hint=f"set {other} to null: the columns are the labels",
            )
    own_name = target.name if where != "ingest" else _NAME
    return replace(target, name=own_name, columns=tuple(names), labels=tuple(names))
