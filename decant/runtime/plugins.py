"""Folders whose every file is a plugin (a student, a reader, ...): adding one is one file."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def plugins(package: ModuleType | str) -> Iterator[ModuleType]:
    """Import and yield the modules of a package in the order of their names.

    Modules whose name starts with an underscore are helpers, not plugins.
    """
    if isinstance(package, str):
        package = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{package.__name__}.{info.name}")
