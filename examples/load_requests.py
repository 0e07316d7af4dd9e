"""Requests to a served model: the texts, and the body that carries some of them.

The `serve` image and `mlflow models serve` answer the same body.
"""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

PATH = "/invocations"
HEADERS = {"Content-Type": "application/json"}
TEXTS_VARIABLE, BATCH_VARIABLE = "LOAD_TEXTS", "LOAD_BATCH_SIZE"
SAMPLES = (
    "a moving story, told without haste",
    "dull",
    "two hours of noise, and not one line that one would like to hear a second time",
)


def read_texts() -> list[str]:
    """The lines of the file in LOAD_TEXTS, without empty ones; a few samples where it is not set.

    Raises SystemExit for a file without texts.
    """
    file = os.environ.get(TEXTS_VARIABLE)
    if not file:
        return list(SAMPLES)
    texts = [line for line in Path(file).read_text("utf-8").splitlines() if line.strip()]
    if not texts:
        raise SystemExit(f"{TEXTS_VARIABLE}: {file} has no line with text")
    return texts


def batch_size() -> int:
    """Texts per request, from LOAD_BATCH_SIZE. Raises SystemExit for anything but 1 or more."""
    value = os.environ.get(BATCH_VARIABLE, "1")
    if not value.isdecimal() or int(value) < 1:
        raise SystemExit(f"{BATCH_VARIABLE}: {value!r} is not a number of texts, 1 or more")
    return int(value)


def bodies(texts: Sequence[str], size: int, start: int = 0) -> Iterator[bytes]:
    """Bodies of `size` texts each, without end: from the text at `start` on, round and round."""
    endless = islice(cycle(texts), start % len(texts), None)
    while True:
        yield body(list(islice(endless, size)))


def body(texts: Sequence[str]) -> bytes:
    """The texts as MLflow's scoring protocol has a table with one column."""
    table = {"columns": ["text"], "data": [[text] for text in texts]}
    return json.dumps({"dataframe_split": table}).encode()


def problem(status: int, answer: bytes, size: int) -> str:
    """What is wrong with the answer to `size` texts; empty when nothing is."""
    if status != 200:
        return f"HTTP {status}: {answer[:200].decode('utf-8', 'replace')}"
    try:
        found = json.loads(answer)["predictions"]
    except (ValueError, TypeError, KeyError):
        return f"no predictions: {answer[:200].decode('utf-8', 'replace')}"
    return "" if len(found) == size else f"{len(found)} answers to {size} texts"
