"""Latency and throughput of several models on the same texts, side by side.

A text is what the models take: a string, or its token ids.

The models take turns block by block of ten texts, one text at a time, so that a machine that grows
slower is slower for all of them. Before each text a model answers the texts before this one,
unmeasured, for two milliseconds and at least once: the processor's caches then contain that model,
as in a service that runs it alone, and not the one whose turn was before. Other texts, one after
the other, as a service gets them: with one text again and again a fast model would have that text's
words in the caches and no others.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from decant.runtime.collector import no_collector
from decant.runtime.reporter import Advance

Text = TypeVar("Text")
BLOCK_TEXTS = 10
REWARM_NS = 2_000_000
SPREAD = (0.05, 0.95)  # quantiles over the blocks


@dataclass(frozen=True, kw_only=True)
class Candidate(Generic[Text]):
    """A model to measure.

    Attributes:
        predict: texts to answers, tokenization included.
        encode, run: texts to token ids, and token ids to logits; None where the two cannot be
            separated.
        texts: on how many of the texts it is measured, whole blocks spread over all of them.
    """

    predict: Callable[[list[Text]], object]
    encode: Callable[[list[Text]], NDArray[np.int64]] | None
    run: Callable[[NDArray[np.int64]], object] | None
    texts: int


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Microseconds per text (texts,), NaN where the model was not measured on that text."""

    model_us: NDArray[np.float64]
    end_to_end_us: NDArray[np.float64]

    def of(self, measure: str) -> NDArray[np.float64]:
        """Those of "model", the graph alone, or of "end_to_end", the tokenizer included."""
        return self.model_us if measure == "model" else self.end_to_end_us


@dataclass(frozen=True)
class Speedup:
    """Ratio of times: the median over blocks of texts, and its 5 % and 95 % quantiles."""

    median: float
    low: float
    high: float


def measure_latency(
    candidates: Mapping[str, Candidate[Text]],
    texts: Sequence[Text],
    *,
    warmup: int,
    advance: Advance,
) -> dict[str, Timings]:
    """Time every candidate on one text at a time (batch 1).

    Args:
        warmup: unmeasured calls of each candidate before anything is measured.
        advance: called with the number of texts that all candidates have answered.
    """
    timings = {
        name: Timings(
            model_us=np.full(len(texts), np.nan), end_to_end_us=np.full(len(texts), np.nan)
        )
        for name in candidates
    }
    blocks = {name: measured_blocks(len(texts), c.texts) for name, c in candidates.items()}
    with no_collector():
        for candidate in candidates.values():
            for call in range(warmup):
                candidate.predict([texts[call % len(texts)]])
        for start in range(0, len(texts), BLOCK_TEXTS):
            block = range(start, min(start + BLOCK_TEXTS, len(texts)))
            for name, candidate in candidates.items():
                if start // BLOCK_TEXTS in blocks[name]:
                    for index in block:
                        _time_one(candidate, texts, index, timings[name])
            advance(len(block))
    return timings


def measure_throughput(
    candidates: Mapping[str, Candidate[Text]],
    texts: Sequence[Text],
    *,
    batch_size: int,
    batches: int,
    advance: Advance,
) -> dict[str, float]:
    """Rows per second in batches, tokenization included: the median over the batches.

    Too few texts for the batches are used again from the start.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    rows = [texts[index % len(texts)] for index in range(batch_size * batches)]
    with no_collector():
        for candidate in candidates.values():
            candidate.predict(rows[:batch_size])
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for name, candidate in candidates.items():
                began = time.perf_counter()
                candidate.predict(batch)
                seconds[name].append(time.perf_counter() - began)
            advance(1)
    return {name: batch_size / float(np.median(taken)) for name, taken in seconds.items()}


def speedup(slow_us: NDArray[np.float64], fast_us: NDArray[np.float64]) -> Speedup | None:
    """Ratio of the median times per block of texts that both were measured on; None without one."""
    ratios = []
    for start in range(0, len(slow_us), BLOCK_TEXTS):
        slow, fast = slow_us[start : start + BLOCK_TEXTS], fast_us[start : start + BLOCK_TEXTS]
        both = np.isfinite(slow) & np.isfinite(fast)
        if both.any():
            ratios.append(float(np.median(slow[both]) / np.median(fast[both])))
    if not ratios:
        return None
    low, high = np.quantile(ratios, SPREAD)
    return Speedup(float(np.median(ratios)), float(low), float(high))


def percentile_us(values_us: NDArray[np.float64], percentile: int) -> float | None:
    """Of the measured texts; None without any."""
    measured = values_us[np.isfinite(values_us)]
    return round(float(np.percentile(measured, percentile)), 1) if len(measured) else None


def measured_blocks(texts: int, wanted: int) -> set[int]:
    """Indices of the blocks on which a candidate is measured, spread evenly from the first on."""
    blocks = -(-texts // BLOCK_TEXTS)
    taken = min(blocks, -(-wanted // BLOCK_TEXTS))
    return {index * blocks // taken for index in range(taken)}


@contextmanager
def tokenizer_threads(threads: int) -> Iterator[None]:
    """Keep the tokenizer to one thread while a single-thread figure is measured."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    if threads == 1:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        if before is not None:
            os.environ["TOKENIZERS_PARALLELISM"] = before
        else:
            os.environ.pop("TOKENIZERS_PARALLELISM", None)


def _time_one(
    candidate: Candidate[Text], texts: Sequence[Text], index: int, timings: Timings
) -> None:
    text = [texts[index]]
    before = [*reversed(texts[:index]), *reversed(texts[index + 1 :])] or text
    began = time.perf_counter_ns()
    for other in itertools.cycle(before):
        candidate.predict([other])
        if time.perf_counter_ns() - began >= REWARM_NS:
            break
    began = time.perf_counter_ns()
    candidate.predict(text)
    timings.end_to_end_us[index] = (time.perf_counter_ns() - began) / 1000
    if candidate.encode and candidate.run:
        ids = candidate.encode(text)
        began = time.perf_counter_ns()
        candidate.run(ids)
        timings.model_us[index] = (time.perf_counter_ns() - began) / 1000
