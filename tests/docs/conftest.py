"""The hooks of mkdocs.yml, as modules: mkdocs loads them by their paths."""

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from decant.runtime.identity import PROJECT


@pytest.fixture(scope="session")
def hook() -> Callable[[str], ModuleType]:
    """Load docs/hooks/NAME.py."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, PROJECT / f"docs/hooks/{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up there
        sys.path.insert(0, str(PROJECT / "docs/hooks"))  # as mkdocs does
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.pop(0)
        return module

    return load
