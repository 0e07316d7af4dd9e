"""What a model card says of labels of which a text has any number."""

from decant.tasks.task import Target

HUB_TAGS = ("multi-label-classification",)
HUB_METRICS = {
    "micro_f1": ("f1", "Micro F1"),
    "macro_f1": ("f1", "Macro F1"),
    "mean_average_precision": ("average_precision", "Mean average precision"),
    "subset_accuracy": ("accuracy", "Subset accuracy"),
    "ece": ("expected_calibration_error", "Expected calibration error"),
}
CONTROLS = {
    "constant": "always the most frequent labels",
    "linear": "TF-IDF and one logistic regression per label",
}


def purpose(target: Target) -> str:
    """Followed by the list of the labels."""
    return f"Gives a text {answer(target)}"


def answer(target: Target) -> str:
    """Followed by the list of the labels."""
    return f"any number, none included, of {len(target.outputs)} labels"


def listed(target: Target) -> tuple[str, ...]:
    """All labels."""
    return target.outputs


def returned(prefix: str) -> str:
    """Labels and scores."""
    return (
        f"`{prefix}labels`, those that apply, and `{prefix}scores`, the probability of every label"
    )


def limits(target: Target) -> list[str]:
    """Thresholds belong to the data that they were chosen on."""
    if target.facts.get("thresholds", "fixed") == "fixed":
        return []
    return [
        "The probability from which on a label applies was chosen on validation rows; where labels "
        "are more or less frequent than there, choose again, by the probabilities."
    ]
