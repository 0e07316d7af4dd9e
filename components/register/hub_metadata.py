"""The metadata above a model card's text, which the Hugging Face Hub reads.

Only known facts: no language or licence is guessed, and a base model or a data set is named when
it came from the Hub.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from components.register.registry import PIN_TAG, SOURCE_TAG
from components.register.version_tags import Evidence, target_figures
from decant.inference.manifest_task import manifest_task
from decant.tasks.card import hub_metrics, hub_tags

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

# The Hub counts multi-label-classification and text-scoring, numbers, as kinds of this task.
PIPELINE = "text-classification"

_MODEL = re.compile(r"hf://(?!datasets/)(?P<repo>[^/@]+/[^/@]+)(@.*)?")
_DATASET = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(@[^/]+)?(/.*)?")


def front_matter(name: str, evidence: Evidence, tags: Mapping[str, str]) -> str:
    """The metadata as YAML between its two marks, with a final newline.

    Args:
        tags: of the model version; `decant.source.encoder` and `.source` are its origin.
    """
    from huggingface_hub import ModelCardData

    task = manifest_task(evidence.manifest)
    source = tags.get(f"{SOURCE_TAG}source", "")
    base_model = _repository(_MODEL, tags.get(f"{SOURCE_TAG}encoder", ""))
    dataset = _repository(_DATASET, source)
    architecture = str(evidence.manifest["architecture"]).partition(",")[0]
    results = _results(evidence, source, dataset, tags.get(f"{PIN_TAG}source"))
    data = ModelCardData(
        model_name=name,
        library_name="onnx",
        pipeline_tag=PIPELINE,
        tags=["decant", "knowledge-distillation", "onnx", architecture, *hub_tags(task)],
        base_model=base_model,
        datasets=[dataset] if dataset else None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _results(
    evidence: Evidence, source: str, dataset: str | None, revision: str | None
) -> list["EvalResult"]:
    """One result of the Hub per metric of the student on the test split."""
    from huggingface_hub import EvalResult

    file = PurePosixPath(source.partition("#")[0]).name
    return [
        EvalResult(
            task_type=PIPELINE,
            dataset_type=dataset or "other",
            dataset_name=f"test split of {file}" if file else "test split",
            dataset_split="test",
            dataset_revision=revision,
            metric_type=kind,
            metric_name=shown,
            metric_value=round(value, 4),
        )
        for kind, shown, value in _figures(evidence)
    ]


def _figures(evidence: Evidence) -> Iterator[tuple[str, str, float]]:
    """The Hub's id, a title, and the value of what the Hub gets of each target."""
    task, student = manifest_task(evidence.manifest), evidence.figures.student
    by_target = target_figures(task, student)
    for target in task.targets:
        found = by_target[target.name] if by_target else dict(student)
        prefix = f"{target.name}: " if len(task.targets) > 1 else ""
        for name, kind, title in hub_metrics(target):
            if name in found:
                yield kind, f"{prefix}{title}", found[name]


def _repository(pattern: re.Pattern[str], uri: str) -> str | None:
    match = pattern.fullmatch(uri)
    return match["repo"] if match else None
