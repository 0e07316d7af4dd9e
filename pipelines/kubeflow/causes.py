"""Why a task failed, in one line and a hint: from its log, else from the engine's words."""

import re

from pipelines.kubeflow.argo_nodes import task_of
from pipelines.kubeflow.states import Task
from pipelines.kubeflow.step_log import KILLED, TERMINATED, StepLog
from pipelines.kubeflow.task_needs import Needs

# What Kubernetes and Argo write about a pod.
_MEMORY = re.compile(r"OOMKilled")
_TIMEOUT = re.compile(r"(?i)deadline|max duration limit")
_IMAGE = re.compile(r"(?i)ImagePullBackOff|ErrImagePull|ErrImageNeverPull|InvalidImageName")
_LOST = re.compile(
    r"(?i)pod deleted|evicted|low on resource|node ?lost|node (is )?(not ready|shutdown|shutting)"
    r"|preempt|unreachable|DisruptionTarget"
)


def cause_of(task: Task, log: StepLog | None, message: str, needs: Needs) -> tuple[str, ...]:
    """What is wrong, then a hint, indented.

    Args:
        log: None where the server does not have it.
        message: the engine's, often empty.
        needs: of the task.
    """
    setting = f"steps.{task_of(task.name).replace('-', '_')}"
    if _MEMORY.search(message) or (log and log.exit_code == KILLED):
        return _killed_for_memory(setting, needs)
    if log and log.error:
        return log.error
    if _TIMEOUT.search(message):
        return (
            f"it took longer than allowed{_seconds(needs)}: {message}",
            f"  hint: raise {setting}.timeout_seconds in the profile",
        )
    if _IMAGE.search(message):
        return (
            f"its image cannot be pulled: {message}",
            "  hint: check --image, and image_pull_secrets in the profile",
        )
    if _LOST.search(message):
        return (
            f"its pod was lost: {message}",
            f"  hint: {setting}.retries in the profile starts it again on another node",
        )
    if log and log.last_words:
        return (log.last_words,)
    if log and log.exit_code == TERMINATED:
        return (
            "it was ended from outside (exit code 143): its pod was deleted or evicted, or it took "
            f"longer than allowed{_seconds(needs)}",
        )
    if log and log.exit_code is not None and not message:
        return (f"failed with exit code {log.exit_code}",)
    return (message or "failed; the server has no message",)


def _killed_for_memory(setting: str, needs: Needs) -> tuple[str, ...]:
    if needs.memory_limit:
        return (
            f"killed for memory (exit code 137): its limit is {needs.memory_limit}",
            f"  hint: raise {setting}.memory.limit in the profile",
        )
    return (
        "killed for memory (exit code 137)",
        f"  hint: raise {setting}.memory in the profile; if no limit is set, its node had no more",
    )


def _seconds(needs: Needs) -> str:
    return f" ({needs.timeout_seconds} s for each attempt)" if needs.timeout_seconds else ""
