"""The kinds of targets, found as folders, and their parts, loaded by name."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import decant.tasks


@cache
def kinds() -> tuple[str, ...]:
    """The names of all kinds, sorted."""
    found = (info for info in pkgutil.iter_modules(decant.tasks.__path__) if info.ispkg)
    return tuple(sorted(info.name for info in found if not info.name.startswith("_")))


def part(kind: str, name: str) -> ModuleType:
    """A kind's file, such as `losses`.

    A module `decant.tasks.NAME` that imports this one loads the parts of its own name alone: the
    identity of a step, and the code of a served model, follow from that.

    Raises ValueError for an unknown kind.
    """
    if kind not in kinds():
        raise ValueError(f"there is no kind of target '{kind}'; kinds: {', '.join(kinds())}")
    return importlib.import_module(f"{decant.tasks.__name__}.{kind}.{name}")
