"""A target of each kind, and all of them in one task."""

from decant.tasks.task import Target, Task

MOOD = Target(
    name="mood", kind="single_label", column="mood", outputs=("bad", "good"), metric="accuracy"
)
TOPICS = Target(
    name="topics",
    kind="multi_label",
    column="topics",
    outputs=("a", "b", "c"),
    metric="micro_f1",
    facts={"thresholds": "per_label", "threshold": 0.5},
)
STARS = Target(
    name="stars",
    kind="regression",
    column="stars",
    outputs=("stars",),
    metric="pearson",
    weight=0.5,
    facts={"center": 3.0, "scale": 2.0, "minimum": 1.0, "maximum": 5.0, "ordinal": True},
)
SEVERAL = Task((MOOD, TOPICS, STARS))
