"""Taking turns, blocks and ratios."""

import os
from itertools import groupby

import numpy as np
import pytest

from decant.inference.latency import (
    Candidate,
    Speedup,
    measure_latency,
    measure_throughput,
    measured_blocks,
    percentile_us,
    speedup,
    tokenizer_threads,
)


def test_ratio_is_the_median_over_blocks_of_the_ratio_of_medians() -> None:
    fast = np.full(30, 2.0)
    slow = np.concatenate([np.full(10, 20.0), np.full(10, 40.0), np.full(10, 80.0)])
    slow[3] = 9_000  # one hiccup does not move a block's median
    # Block ratios 10, 20, 40; quantiles 5 and 95 % by linear interpolation.
    found = speedup(slow, fast)
    assert found is not None
    assert (found.median, found.low, found.high) == pytest.approx((20, 11, 38))


def test_ratio_uses_texts_that_both_were_measured_on() -> None:
    slow = np.array([10.0] * 10 + [np.nan] * 10)
    fast = np.array([1.0] * 10 + [5.0] * 10)
    assert speedup(slow, fast) == Speedup(10, 10, 10)
    assert speedup(np.full(10, np.nan), np.ones(10)) is None


def test_blocks_are_spread_over_all_texts() -> None:
    assert measured_blocks(200, 200) == set(range(20))
    assert measured_blocks(200, 50) == {0, 4, 8, 12, 16}
    assert measured_blocks(25, 1000) == {0, 1, 2}
    assert measured_blocks(3, 10) == {0}


def test_models_take_turns_block_by_block_and_answer_one_text_at_a_time() -> None:
    calls: list[tuple[str, str]] = []

    def candidate(name: str, texts: int) -> Candidate:
        def predict(batch: list[str]) -> None:
            calls.append((name, batch[0]))

        return Candidate(
            predict=predict,
            encode=lambda batch: np.zeros((1, 1)),
            run=lambda ids: None,
            texts=texts,
        )

    texts = [f"text {index}" for index in range(25)]
    candidates = {"student": candidate("student", 25), "base": candidate("base", 10)}
    done: list[int] = []
    timings = measure_latency(candidates, texts, warmup=1, advance=done.append)
    turns = [name for name, _ in groupby(calls[2:], key=lambda call: call[0])]
    assert turns == ["student", "base", "student"]  # the base has the first block of three
    measured_last = [list(group)[-1][1] for _, group in groupby(calls[2:], key=lambda c: c[0])]
    assert measured_last == ["text 9", "text 9", "text 24"]
    assert np.isfinite(timings["student"].end_to_end_us).sum() == 25
    assert np.isfinite(timings["base"].model_us).tolist() == [True] * 10 + [False] * 15
    assert done == [10, 10, 5]


def test_before_each_text_a_model_answers_others_unmeasured() -> None:
    calls: list[str] = []

    def predict(batch: list[str]) -> None:
        calls.extend(batch)

    only = Candidate(predict=predict, encode=None, run=None, texts=3)
    measure_latency({"m": only}, ["a", "b", "c"], warmup=0, advance=lambda n: None)
    assert calls[0] == "c"  # what is nearest before, from the end on
    assert set(calls[: calls.index("a")]) == {"b", "c"}
    assert len(calls) > 6, "two milliseconds of other texts before each of the three"


def test_a_model_without_a_separate_part_has_no_time_of_its_own() -> None:
    only = Candidate(predict=lambda batch: None, encode=None, run=None, texts=10)
    timings = measure_latency({"tfidf": only}, ["a"] * 10, warmup=1, advance=lambda n: None)
    assert percentile_us(timings["tfidf"].model_us, 50) is None
    assert percentile_us(timings["tfidf"].end_to_end_us, 50) is not None


def test_throughput_fills_its_batches_from_few_texts() -> None:
    sizes: list[int] = []
    only = Candidate(
        predict=lambda batch: sizes.append(len(batch)), encode=None, run=None, texts=10
    )
    rates = measure_throughput(
        {"m": only}, ["a", "b"], batch_size=8, batches=3, advance=lambda n: None
    )
    assert sizes == [8] * 4  # one to warm up
    assert rates["m"] > 0


def test_percentiles() -> None:
    assert percentile_us(np.array([1.0, 2.0, np.nan, 3.0]), 50) == 2.0


def test_tokenizer_keeps_to_one_thread_only_while_measuring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    with tokenizer_threads(1):
        assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    with tokenizer_threads(2):
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
