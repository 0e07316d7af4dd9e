"""The plan that the compiled pipeline hands to a task that starts a TrainJob."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from decant.runtime.errors import UserError

# Holds a Plan as JSON. A task that has it starts a TrainJob and does not train itself.
VARIABLE = "DECANT_TRAIN_JOB"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A TrainJob to start.

    Attributes:
        manifest: all of it without its name, its command and its run.
        shared: folder of a volume that all nodes and the task itself may write.
        timeout_seconds: of the job, from its start; None without a limit.
    """

    manifest: Mapping[str, Any]
    shared: str
    timeout_seconds: int | None

    def to_json(self) -> str:
        """One line, the same for the same plan."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def plan_from_environment() -> Plan | None:
    """None where the task runs its step itself."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    try:
        return Plan(**json.loads(text))
    except (ValueError, TypeError):
        raise UserError(
            f"{VARIABLE} is not a valid plan of a TrainJob",
            code="node-plan-missing",
            hint="compile the pipeline again",
        ) from None
