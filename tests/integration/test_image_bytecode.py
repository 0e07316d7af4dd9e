"""Each step starts in the image without compiling anything: a container keeps no bytecode."""

from typing import Any

import pytest

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.steps import STEPS

pytestmark = pytest.mark.slow
# Python's own bytecode is the base image's matter.
_UNCOMPILED = """
import sys
import sysconfig
from pathlib import Path
from decant.runtime.steps import import_step
import_step(sys.argv[1])
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", 0)]
found = [spec for spec in specs if spec.cached and spec.has_location]
own = sysconfig.get_path("stdlib")
found = [spec for spec in found if "site-packages" in spec.origin or own not in spec.origin]
assert len(found) > 100
print(*sorted(spec.name for spec in found if not Path(spec.cached).exists()))
"""


@pytest.mark.parametrize("step", STEPS)
def test_all_that_a_step_imports_has_its_bytecode(daemon: Any, step: str) -> None:
    words = ["python", "-c", _UNCOMPILED, step]
    output = daemon.containers.run(STEPS_IMAGE, words, remove=True, network_mode="host")
    assert output.decode().split() == []
