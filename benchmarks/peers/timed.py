"""Labels and times of all entries in one process, whose number of threads is that of the times.

The entries take turns block by block, in an order that is drawn anew for each block; within a turn
`decant.inference.latency` measures as `evaluate` does, with its warm-up.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.cold_start import failed
from benchmarks.peers.entries import ENTRIES, TEACHER
from benchmarks.peers.peer import Answer
from benchmarks.study.threads import available_cores, environment
from decant.inference.latency import (
    BLOCK_TEXTS,
    Candidate,
    measure_latency,
    percentile_us,
    speedup,
    tokenizer_threads,
)
from decant.runtime.ending import exit_on_error

PERCENTILES = (50, 95, 99)
Text = TypeVar("Text")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process measures.

    Attributes:
        folders: of the entries, by name.
        threads: 1, or 0 for all cores.
        rows: texts to answer one by one, for the labels; none where they are known.
        texts: timed one by one.
        batches: lists of texts, timed as a whole.
    """

    folders: Mapping[str, str]
    threads: int
    rows: Sequence[str]
    texts: Sequence[str]
    batches: Sequence[Sequence[str]]
    warmup: int
    seed: int


def measure_in_process(job: Job) -> dict[str, Any]:
    """In a process of its own: `labels`, `one` and `batch`, each by entry.

    Raises UserError where it fails.
    """
    threads = job.threads or available_cores()
    with tempfile.TemporaryDirectory(prefix="decant-peers-") as scratch:
        asked, answered = Path(scratch) / "job.json", Path(scratch) / "answer.json"
        asked.write_text(json.dumps(vars(job)), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(asked), str(answered)],
            env=os.environ | environment(threads),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise failed("times", done)
        found: dict[str, Any] = json.loads(answered.read_text("utf-8"))
        return found


def times_of(us: Mapping[str, NDArray[np.float64]], *, texts: int) -> dict[str, dict[str, Any]]:
    """Per entry percentiles in microseconds per text, and the teacher's time divided by its own.

    Args:
        us: microseconds per call, NaN where an entry was not measured.
        texts: of each call.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, own in us.items():
        per_text = own / texts
        ratio = speedup(us[TEACHER], own) if TEACHER in us else None
        found[name] = {f"p{one}_us": percentile_us(per_text, one) for one in PERCENTILES}
        found[name]["calls"] = int(np.isfinite(own).sum())
        found[name]["faster_than_teacher"] = (
            [round(value, 3) for value in (ratio.median, ratio.low, ratio.high)] if ratio else None
        )
    return found


def in_turns(
    calls: Mapping[str, Candidate[Text]],
    shares: Mapping[str, float],
    texts: Sequence[Text],
    *,
    warmup: int,
    draw: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Microseconds per call (texts,), NaN where an entry was not measured.

    Args:
        shares: the part of each block that an entry is measured on.
        warmup: unmeasured calls of each before its first block.
    """
    found = {name: np.full(len(texts), np.nan) for name in calls}
    for start in range(0, len(texts), BLOCK_TEXTS):
        block = texts[start : start + BLOCK_TEXTS]
        for index in draw.permutation(len(calls)):
            name = list(calls)[index]
            own = block[: max(1, round(shares[name] * len(block)))]
            timings = measure_latency(
                {name: calls[name]},
                own,
                warmup=max(1, round(shares[name] * warmup)) if start == 0 else 0,
                advance=lambda _: None,
            )
            found[name][start : start + len(own)] = timings[name].end_to_end_us
    return found


def main(asked: str, answered: str) -> None:
    """In the process."""
    job = Job(**json.loads(Path(asked).read_text("utf-8")))
    shares = {name: ENTRIES[name].share for name in job.folders}
    draw = np.random.default_rng(job.seed)
    with tokenizer_threads(job.threads):
        answers = {
            name: ENTRIES[name].load().open(Path(folder), threads=job.threads)
            for name, folder in job.folders.items()
        }
        labels = {
            name: [answer([text])[0] for text in job.rows]  # no answer depends on a batch's others
            for name, answer in answers.items()
            if ENTRIES[name].answers and job.rows
        }
        calls = {name: _call(answer) for name, answer in answers.items()}
        one = in_turns(calls, shares, job.texts, warmup=job.warmup, draw=draw)
        of_batches = {name: _batch_call(answer) for name, answer in answers.items()}
        batches = [list(batch) for batch in job.batches]
        batch = in_turns(of_batches, shares, batches, warmup=1, draw=draw)
    size = len(job.batches[0])
    content = {
        "labels": labels,
        "one": times_of(one, texts=1),
        "batch": times_of(batch, texts=size),
    }
    Path(answered).write_text(json.dumps(content), "utf-8")


def _call(answer: Answer) -> Candidate[str]:
    return Candidate(predict=answer, encode=None, run=None, texts=BLOCK_TEXTS)


def _batch_call(answer: Answer) -> Candidate[list[str]]:
    """A batch takes the place of a text."""
    return Candidate(
        predict=lambda batches: answer(batches[0]), encode=None, run=None, texts=BLOCK_TEXTS
    )


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
