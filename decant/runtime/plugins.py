"""Folders whose every file is a plugin (a student, a reader, ...): adding one is one file."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def plugins(package: ModuleType | str) -> Iterator[ModuleType]:
    """Import and yield the modules of a package in the order of their names."""
    name = package if isinstance(package, str) else package.__name__
    for plugin in plugin_names(name):
        yield importlib.import_module(f"{name}.{plugin}")


def plugin_names(package: str) -> list[str]:
    """The names of a package's plugins, sorted; none is imported.

    Folders in it are no plugins, and modules whose name starts with an underscore are helpers.
    """
    folders = importlib.import_module(package).__path__
    return sorted(
        info.name
        for info in pkgutil.iter_modules(folders)
        if not info.ispkg and not info.name.startswith("_")
    )
