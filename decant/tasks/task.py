"""What a model predicts: its targets, and which of its logits belong to which."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CLASSES = "single_label"
SEVERAL = "several"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One label column, or the columns that are one target together.

    Attributes:
        name: by which answers, figures and thresholds are asked for.
        kind: a folder of decant/tasks.
        column: its name in the source, for reports.
        outputs: a name per logit: the labels; of a rating its own name.
        metric: by which models of this target are chosen, one of the kind's METRICS.
        weight: of its loss among the others'.
        facts: what else the kind needs to know, in JSON: bounds, a scale, how thresholds are set.
    """

    name: str
    kind: str
    column: str
    outputs: tuple[str, ...]
    metric: str
    weight: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Target":
        """The inverse of `as_json`; keys that this version does not know are ignored."""
        known = {one.name for one in dataclasses.fields(cls)}
        return cls(
            **{key: value for key, value in fields.items() if key in known}
            | {"outputs": tuple(fields["outputs"])}
        )

    def as_json(self) -> dict[str, Any]:
        """All attributes in JSON's types."""
        return dataclasses.asdict(self) | {"outputs": list(self.outputs)}


@dataclass(frozen=True)
class Task:
    """The targets, in the order of their logits."""

    targets: tuple[Target, ...]

    @classmethod
    def of_classes(cls, labels: Sequence[str], *, column: str = "label") -> "Task":
        """The task of one target with classes: what there was before there were others."""
        target = Target(
            name=column, kind=CLASSES, column=column, outputs=tuple(labels), metric="accuracy"
        )
        return cls((target,))

    @classmethod
    def from_json(cls, targets: Sequence[Mapping[str, Any]]) -> "Task":
        """The inverse of `as_json`."""
        return cls(tuple(map(Target.from_json, targets)))

    def as_json(self) -> list[dict[str, Any]]:
        """A list of the targets."""
        return [target.as_json() for target in self.targets]

    @property
    def kind(self) -> str:
        """Of the only target; `several` where there are more."""
        return self.targets[0].kind if len(self.targets) == 1 else SEVERAL

    @property
    def is_classes_alone(self) -> bool:
        """One target with classes, judged by accuracy: what there was before there were others."""
        return self.kind == CLASSES and self.metric == "accuracy"

    @property
    def outputs(self) -> tuple[str, ...]:
        """A name per logit; of several targets TARGET.OUTPUT, of a number TARGET alone."""
        if len(self.targets) == 1:
            return self.targets[0].outputs
        return tuple(
            one.name if output == one.name else f"{one.name}.{output}"
            for one in self.targets
            for output in one.outputs
        )

    @property
    def metric(self) -> str:
        """Of the only target; `score`, the weighted mean of their metrics, where there are more."""
        return self.targets[0].metric if len(self.targets) == 1 else "score"

    def parts(self) -> Iterator[tuple[Target, slice]]:
        """Each target with its columns of the logits."""
        start = 0
        for target in self.targets:
            yield target, slice(start, start + len(target.outputs))
            start += len(target.outputs)

    def only(self, name: str) -> "Task":
        """The same logits, but the other targets count for nothing in loss and score."""
        return Task(
            tuple(
                one if one.name == name else dataclasses.replace(one, weight=0.0)
                for one in self.targets
            )
        )

    def target(self, name: str) -> Target:
        """By its name; KeyError without one."""
        return {one.name: one for one in self.targets}[name]
