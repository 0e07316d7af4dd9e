"""What is wrong with a model, as a mistake that a user can correct.

Beside the classifier, not in it: what a server needs does not import the runtime.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from decant.inference.classifier import NoAnswer
from decant.inference.model_files import DamagedModel
from decant.runtime.errors import UserError


@contextmanager
def refusals() -> Iterator[None]:
    """Raises UserError for a damaged model, or one that gives no answers, or no numbers."""
    try:
        yield
    except DamagedModel as error:
        raise UserError(error.problem, code="model-damaged", hint=error.hint) from None
    except NoAnswer as error:
        raise UserError(
            str(error),
            code="model-unreadable",
            hint="do not serve it: its training diverged, or its graph is damaged",
        ) from None
