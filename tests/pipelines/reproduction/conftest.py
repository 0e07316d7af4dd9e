"""The registry's fixtures: a version to reproduce is a registered one."""

from tests.pipelines.registry.conftest import *  # noqa: F403
