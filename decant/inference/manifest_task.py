"""The task of an exported model, from its manifest."""

from collections.abc import Mapping
from typing import Any

from decant.tasks.task import Task


def manifest_task(manifest: Mapping[str, Any]) -> Task:
    """What its logits mean; a manifest of format 1 has the labels of its only target alone."""
    if "targets" in manifest:
        return Task.from_json(manifest["targets"])
    return Task.of_classes(manifest["labels"])
