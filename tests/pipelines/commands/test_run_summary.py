"""What `decant run` prints at its end."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from decant.runtime.artifacts import write_json
from pipelines.__main__ import main
from pipelines.commands import run as run_module
from tests.example_figures import metrics


@pytest.mark.parametrize("reasons", [[], ["a is 1", "b is 2"]])
def test_the_summary_names_a_class_that_is_missed_beside_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reasons: list[str]
) -> None:
    content = metrics()
    content["gate"] = {"passed": not reasons, "reasons": reasons}

    def evaluated(arguments: dict[str, str], output: Path, **_: object) -> None:
        (output / "reports").mkdir(parents=True)
        write_json(output / "reports" / "metrics.json", content)

    monkeypatch.setattr(run_module, "run_pipeline", evaluated)

    def summary(folder: str) -> list[str]:
        words = ["run", "--output", str(tmp_path / folder)]
        return CliRunner().invoke(main, words, catch_exceptions=False).stdout.splitlines()[3:]

    verdict = "gate: failed: a is 1; b is 2" if reasons else "gate: passed"
    assert summary("whole") == [verdict]
    lost = {"label": "spam", "test_rows": 30, "teacher_right": 28}
    content["student"]["missed_classes"] = [lost]
    assert summary("lost") == [
        "finding: The student has no row right of 1 class that its teacher knows: 'spam' "
        "(30 of 1,810 test rows; right by the teacher: 28).",
        verdict,
    ]
