"""The task of an exported model, from its manifest.

Format 2 has `targets`. A manifest of format 1, from before there were others, has the classes of
its only target as `labels` alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from decant.tasks.answers import answers
from decant.tasks.kinds import kinds
from decant.tasks.task import Task

NEWEST_FORMAT = 2


def manifest_task(manifest: Mapping[str, Any]) -> Task:
    """What the model's logits mean.

    Raises ValueError when the manifest is damaged, or newer than this version of Decant.
    """
    found = manifest.get("format", 1) if isinstance(manifest, Mapping) else None
    if type(found) is not int or found < 1:
        raise ValueError("its manifest is damaged: it has no valid `format`")
    if found > NEWEST_FORMAT:
        raise ValueError(
            f"its manifest has format {found}, and this version of Decant knows formats up to "
            f"{NEWEST_FORMAT}: use a newer one"
        )
    task = _task(manifest)
    for target in task.targets:
        if target.kind not in kinds():
            raise ValueError(
                f"its target '{target.name}' is of the kind '{target.kind}', and this version of "
                f"Decant knows {', '.join(kinds())}: use a newer one"
            )
    try:  # a kind may need facts that are not there
        answers(task, np.zeros((1, len(task.outputs)), dtype=np.float32))
    except Exception as error:
        raise ValueError(f"its manifest is damaged: {_in_words(error)}") from None
    return task


def _task(manifest: Mapping[str, Any]) -> Task:
    try:
        if "targets" in manifest:
            task = Task.from_json(manifest["targets"])
        else:
            task = Task.of_classes(_names(manifest["labels"]))
        names = [target.name for target in task.targets]
        outputs = [_names(target.outputs) for target in task.targets]
    except Exception as error:  # whatever stands there in place of what is expected
        raise ValueError(f"its manifest is damaged: {_in_words(error)}") from None
    if not names or not all(outputs) or len({*names}) < len(names):
        raise ValueError("its manifest is damaged: its targets have no outputs, or one name twice")
    if list(manifest.get("labels", task.outputs)) != list(task.outputs):
        raise ValueError("its manifest is damaged: `labels` are not the outputs of `targets`")
    return task


def _names(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError("names of outputs are not a list of texts")
    return list(value)


def _in_words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
