"""Parameters of a target of classes."""

from decant.tasks.declared import Declared


def checked(target: Declared) -> Declared:
    """As it is."""
    return target
