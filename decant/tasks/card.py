"""What a model card, and the Hugging Face Hub, say of a model by the kinds of its targets.

A kind's card.py has

    HUB_TAGS                what the Hub calls such a task below text-classification
    HUB_METRICS             which of the kind's figures the Hub gets: its id and a title, by name
    CONTROLS                how the report's controls are named: constant, linear
    purpose(target)         what the model does to a text, to follow "This model"
    answer(target)          the same as a noun, to follow the target's name
    listed(target)          the outputs that are worth listing after either
    returned(prefix)        the cells of an answer, in a sentence; the prefix is the target's
    limits(target)          sentences
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from decant.tasks.kinds import part
from decant.tasks.spec import metric_of
from decant.tasks.task import Target, Task

_SEVERAL = {
    "constant": "always the most frequent answers",
    "linear": "TF-IDF and a linear model per target",
}


@dataclass(frozen=True, kw_only=True)
class TargetWords:
    """What a card says of one target."""

    name: str
    answer: str
    listed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CardWords:
    """What a card says of a task.

    Attributes:
        purpose: to follow "This model"; of several targets only how many.
        targets: in the order of the task.
        returned: the cells of an answer, in a sentence.
        limits: sentences.
        controls: how the controls are named: constant, linear.
        metric: by which models are judged.
        is_share: whether that is shown in per cent.
    """

    purpose: str
    targets: tuple[TargetWords, ...]
    returned: str
    limits: tuple[str, ...]
    controls: Mapping[str, str]
    metric: str
    is_share: bool


def card_words(task: Task) -> CardWords:
    """Of a model's task."""
    one = task.targets[0] if len(task.targets) == 1 else None
    returned = [_of(target).returned("" if one else f"{target.name}_") for target in task.targets]
    limits = [sentence for target in task.targets for sentence in _of(target).limits(target)]
    metrics = [metric_of(target) for target in task.targets]
    return CardWords(
        purpose=_of(one).purpose(one)
        if one
        else f"Answers {len(task.targets)} questions about a text",
        targets=tuple(
            TargetWords(
                name=target.name,
                answer=_of(target).answer(target),
                listed=tuple(_of(target).listed(target)),
            )
            for target in task.targets
        ),
        returned="; ".join(returned),
        limits=tuple(dict.fromkeys(limits)),
        controls=_of(one).CONTROLS if one else _SEVERAL,
        metric=metrics[0].title if one else "score, the weighted mean of the targets' metrics",
        is_share=all(metric.is_share for metric in metrics),
    )


def hub_tags(task: Task) -> list[str]:
    """Below text-classification, sorted, each once."""
    return sorted({tag for target in task.targets for tag in _of(target).HUB_TAGS})


def hub_metrics(target: Target) -> Iterator[tuple[str, str, str]]:
    """Name among the kind's figures, the Hub's id, and a title."""
    found: Mapping[str, Any] = _of(target).HUB_METRICS
    return ((name, *words) for name, words in found.items())


def _of(target: Target) -> Any:
    return part(target.kind, "card")
