"""Each step starts in the image without compiling anything: a container keeps no bytecode."""

import sys
from typing import Any

import pytest

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.steps import STEPS

pytestmark = pytest.mark.slow
_UNCOMPILED = """
import sys
from pathlib import Path
from decant.runtime.steps import import_step
import_step(sys.argv[1])
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", 0)]
found = [spec for spec in specs if spec.cached and spec.has_location]
assert len(found) > 100
print(*sorted(spec.name for spec in found if not Path(spec.cached).exists()))
"""


@pytest.mark.parametrize("step", STEPS)
def test_all_that_a_step_imports_has_its_bytecode(daemon: Any, step: str) -> None:
    words = ["python", "-c", _UNCOMPILED, step]
    output = daemon.containers.run(STEPS_IMAGE, words, remove=True, network_mode="host")
    assert [name for name in output.decode().split() if not _is_of_the_system(name)] == []


def _is_of_the_system(name: str) -> bool:
    """Of Python itself, whose bytecode is the base image's matter."""
    return name.partition(".")[0] in sys.stdlib_module_names
