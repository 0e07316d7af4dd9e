"""What a model card says of classes."""

from decant.tasks.task import Target

HUB_TAGS: tuple[str, ...] = ()  # what text-classification means without further words
HUB_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "ece": ("expected_calibration_error", "Expected calibration error"),
}
CONTROLS = {
    "constant": "always the most frequent label",
    "linear": "TF-IDF and logistic regression",
}


def purpose(target: Target) -> str:
    """Followed by the list of the classes."""
    return f"Puts a text into {answer(target)}"


def answer(target: Target) -> str:
    """Followed by the list of the classes."""
    return f"one of {len(target.outputs)} classes"


def listed(target: Target) -> tuple[str, ...]:
    """All classes."""
    return target.outputs


def returned(prefix: str) -> str:
    """Label and score."""
    return f"`{prefix}label` and `{prefix}score`, the probability of that label"


def limits(target: Target) -> list[str]:
    """There is no class for the rest."""
    return [
        "It always answers with one of its classes, also for text that belongs to none of them."
    ]
