"""How fast the models are: the second part of metrics.json."""

from collections.abc import Mapping
from typing import cast

from decant.figures.figure_set import FigureSet, Interval


class Latency(FigureSet):
    """Microseconds for one text (batch 1); null where it was not measured."""

    model: float | None
    """Of the model alone: token ids to logits, in microseconds."""

    end_to_end: float | None
    """Text to answer, tokenization included, in microseconds."""


class Ratios(FigureSet):
    """Ratios of times: how many times less time the student needs for a text than another model.

    Each is the median over blocks of texts; null where the other was not measured.
    """

    vs_teacher: float | None
    """Than its teacher in float32."""

    vs_bert_base: float | None
    """Than a graph of BERT-base with random weights."""

    vs_teacher_int8: float | None = None
    """Than its quantised teacher."""

    vs_student_float32: float | None = None
    """Than itself in float32."""

    def over(self, model: str) -> float | None:
        """By the other model's name, such as `teacher`."""
        return cast(float | None, getattr(self, f"vs_{model}"))


class RatioSpreads(FigureSet):
    """The range of 90 % of the blocks behind each ratio: [low, high]; null as the ratio is."""

    vs_teacher: Interval | None
    """Against its teacher in float32."""

    vs_bert_base: Interval | None
    """Against a graph of BERT-base with random weights."""

    vs_teacher_int8: Interval | None = None
    """Against its quantised teacher."""

    vs_student_float32: Interval | None = None
    """Against itself in float32."""

    def over(self, model: str) -> Interval | None:
        """By the other model's name, such as `teacher`."""
        return cast(Interval | None, getattr(self, f"vs_{model}"))


class Speedups(FigureSet):
    """The student's ratios, by what was timed."""

    model: Ratios
    """Of the model alone."""

    end_to_end: Ratios
    """Tokenization included."""


class SpeedupSpreads(FigureSet):
    """The ranges of the student's ratios, by what was timed."""

    model: RatioSpreads
    """Of the model alone."""

    end_to_end: RatioSpreads
    """Tokenization included."""


class ComparedWith(FigureSet):
    """What the times are of."""

    vs_teacher: str
    """The teacher's encoder."""

    vs_bert_base: str
    """What the graph of BERT-base is."""

    shape: str
    """Batch, tokens per text, and which texts, in words."""

    texts: Mapping[str, int]
    """Per model: texts that were timed, 0 for one that was not."""

    spread_quantiles: Interval
    """The quantiles over the blocks that a speedup_interval spans."""

    vs_teacher_int8: str | None = None
    """The form of the quantised teacher; null without one."""

    vs_student_float32: str | None = None
    """The form of the other student; null without one."""

    def over(self, model: str) -> str | None:
        """By the other model's name, such as `teacher`."""
        return cast(str | None, getattr(self, f"vs_{model}"))


class Machine(FigureSet):
    """The machine of the measured times."""

    cpu: str
    """The processor's own name."""

    cores: int
    """Of the machine."""

    threads: int
    """Of ONNX Runtime within one call."""

    system: str
    """Operating system and architecture."""

    runtime: str
    """Its version and the kind of device."""

    tokenizers: str
    """Version of the library."""


class TimingFigures(FigureSet):
    """What was timed: these figures hold for one machine, and differ a little from run to run."""

    latency_p50_us: Mapping[str, Latency]
    """Per model: the median over the texts."""

    latency_p95_us: Mapping[str, Latency]
    """Per model: 95 % of the texts take less."""

    latency_p99_us: Mapping[str, Latency]
    """Per model: 99 % of the texts take less."""

    throughput_rows_per_second: Mapping[str, float | None]
    """Per model: in batches, tokenization included; the median over the batches."""

    throughput_batch_size: int
    """Rows per batch."""

    speedup: Speedups
    """How many times less time the student needs than others."""

    speedup_interval: SpeedupSpreads
    """The spread of these ratios."""

    compared_with: ComparedWith
    """What is compared, and on which texts."""

    machine: Machine
    """The machine that they were measured on."""
