"""Odd texts through the serve image's program and `predict`: the same answers, no traceback.

DECANT_FUZZ_EXAMPLES=10000 raises their number; `-s` shows the table of what was sent.
"""

import csv
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.register.registry import save_model
from decant.inference.classifier import OnnxClassifier, problem_of
from decant.runtime.errors import UserError
from pipelines.__main__ import main
from tests.odd_texts import KINDS, odd_texts
from tests.serve_program import serving

pytestmark = pytest.mark.slow

TEXTS_PER_REQUEST = 20
EXAMPLES = int(os.environ.get("DECANT_FUZZ_EXAMPLES", "500")) // TEXTS_PER_REQUEST
HANGS_AFTER_SECONDS = 60
Answer = dict[str, str]
OutCome = tuple[int, str]


class Table:
    """What was sent, by kind."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.slowest_seconds = 0.0
        self.requests = 0

    def __str__(self) -> str:
        rows = [f"{'kind':30} {'answered':>8} {'refused':>8}"]
        rows += [f"{kind:30} {self.answered[kind]:8,} {self.refused[kind]:8,}" for kind in KINDS]
        rows += [
            f"{'all':30} {self.answered.total():8,} {self.refused.total():8,}",
            f"{self.requests:,} requests, the slowest took {self.slowest_seconds:.2f} s",
        ]
        return "\n".join(rows)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("odd") / "model"
    save_model(tiny_exported, folder)
    with serving(str(folder)) as server:
        yield server.url
        assert "Traceback" not in server.logged()


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    sent = Table()
    yield sent
    print(f"\n{sent}")


def post(url: str, body: bytes, kind: str, table: Table) -> OutCome:
    """Raises TimeoutError where the server hangs."""
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": kind})
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=HANGS_AFTER_SECONDS) as answer:
            outcome = answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        outcome = refused.code, refused.read().decode()
    table.requests += 1
    table.slowest_seconds = max(table.slowest_seconds, time.monotonic() - started)
    return outcome


def as_json(texts: list[str]) -> bytes:
    content = {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}}
    try:
        return json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(content).encode()


def as_csv(texts: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["text"], *([text] for text in texts)])
    return file.getvalue().encode()


def predicted(texts: list[str], model: Path, folder: Path) -> list[Answer]:
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    words = ["predict", "--json", "--model", str(model), "--file", str(file)]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    lines = [json.loads(line, parse_float=str) for line in done.stdout.split("\n") if line]
    assert [line.pop("text") for line in lines] == texts
    return lines


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[*HealthCheck],
    database=None,
    phases=[Phase.generate],  # the failing texts are shown; making them smaller takes minutes
)
@given(drawn=st.lists(odd_texts(), min_size=TEXTS_PER_REQUEST, max_size=TEXTS_PER_REQUEST))
def test_odd_texts_get_the_same_answer_everywhere_or_are_refused_with_their_row(
    drawn: list[tuple[str, str]],
    url: str,
    table: Table,
    tiny_exported: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    good = [(kind, text) for kind, text in drawn if problem_of(text) is None]
    texts = [text for _, text in good]
    expected = [
        {"label": found.label, "score": json.dumps(found.score)}
        for found in OnnxClassifier(tiny_exported).predict(texts)
    ]
    for body, content_type in ((as_json(texts), "application/json"), (as_csv(texts), "text/csv")):
        status, content = post(url, body, content_type, table)
        assert status == 200, content
        assert json.loads(content, parse_float=str)["predictions"] == expected
    assert predicted(texts, tiny_exported, folder) == expected
    table.answered.update(kind for kind, _ in good)
    for kind, text in drawn:
        if problem_of(text):
            refused_everywhere(text, url, table, tiny_exported, folder)
            table.refused[kind] += 1


def refused_everywhere(text: str, url: str, table: Table, model: Path, folder: Path) -> None:
    status, content = post(url, as_json(["fine", text]), "application/json", table)
    assert status == 400, content
    assert "row 1 of the input is " in json.loads(content)["message"]
    assert "Traceback" not in content
    with pytest.raises(UserError, match=r"\b(row|line) 2\b") as refused:
        predicted(["fine", text], model, folder)
    assert refused.value.code in ("text-invalid", "row-invalid")
