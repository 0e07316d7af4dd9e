"""Parameters of a target of numbers."""

from decant.runtime.errors import UserError
from decant.tasks.declared import Declared


def checked(target: Declared) -> Declared:
    """As it is. There are no labels to be listed, and kappa is for grades."""
    if target.labels is not None:
        raise UserError(
            f"{target.labels_key}: a target of the kind {target.kind} has no labels",
            code="parameter-conflict",
            hint="set it to null; minimum and maximum bound the numbers",
        )
    if target.metric == "quadratic_kappa" and not target.options.ordinal:
        raise UserError(
            f"{target.where}.metric is quadratic_kappa, which is for grades, but ordinal is false",
            code="parameter-conflict",
            hint="set ordinal to true where the numbers are grades, or choose another metric",
        )
    return target
