"""What a model card says of numbers."""

from decant.tasks.task import Target

HUB_TAGS = ("text-scoring",)
HUB_METRICS = {
    "pearson": ("pearsonr", "Pearson's r"),
    "spearman": ("spearmanr", "Spearman's rho"),
    "mae": ("mae", "Mean absolute error"),
    "r2": ("r_squared", "R²"),
    "quadratic_kappa": ("cohen_kappa", "Quadratic kappa"),
}
CONTROLS = {
    "constant": "always the mean of the training labels",
    "linear": "TF-IDF and ridge regression",
}


def purpose(target: Target) -> str:
    """With its name and bounds."""
    return f"Gives a text {answer(target)}"


def answer(target: Target) -> str:
    """With its name and bounds."""
    low, high = target.facts.get("minimum"), target.facts.get("maximum")
    bounds = [f"from {low:g}"] if low is not None else []
    bounds += [f"to {high:g}"] if high is not None else []
    return " ".join([f"a number, `{' '.join(target.name.split())}`,", *bounds]).rstrip(",")


def listed(target: Target) -> tuple[str, ...]:
    """There is one output."""
    return ()


def returned(prefix: str) -> str:
    """The value."""
    return f"`{prefix}value`, a number in the unit of the labels"


def limits(target: Target) -> list[str]:
    """It has no error bar."""
    return ["It answers any text with a number, and does not say how sure it is."]
