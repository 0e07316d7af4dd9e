"""Checks the figures of the main job: the shape of metrics.json and what the student must reach.

The bounds lie a little below the default run's figures, by about the spread between seeds, since on
another machine rounding takes training another way. Times are reported, never asserted.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    metrics = json.loads((root / "reports" / "metrics.json").read_text("utf-8"))
    receipt = json.loads((root / "artifacts" / "receipt" / "receipt.json").read_text("utf-8"))
    teacher, student = at(metrics, "teacher.accuracy"), at(metrics, "student.accuracy")
    tfidf = at(metrics, "controls.tfidf.accuracy")
    undistilled = at(metrics, "controls.undistilled.accuracy")
    checks = {
        "teacher is at least 77 %": teacher >= 0.77,
        "student keeps at least 96 % of it": at(metrics, "student.retention") >= 0.96,
        "student is 7 points above TF-IDF": student >= tfidf + 0.07,
        "student is above the undistilled one": student > undistilled,
        "student is smaller than 25 MB": at(metrics, "student.size_bytes") < 25e6,
        "the gate passed": at(metrics, "gate.passed") is True,
        "a model version is registered": receipt["registered"] is True,
    }
    for path in (
        "student.retention_interval",
        "student.parameters",
        "data.test_digest",
        "gate.reasons",
        *(
            f"latency_p50_us.{model}.{part}"
            for model in ("student", "teacher", "bert_base")
            for part in ("model", "end_to_end")
        ),
        *(
            f"speedup.{part}.{versus}"
            for part in ("model", "end_to_end")
            for versus in ("vs_teacher", "vs_bert_base")
        ),
    ):
        checks[f"metrics.json has {path}"] = at(metrics, path) is not None
    print(f"teacher {teacher:.4f}, student {student:.4f}, undistilled {undistilled:.4f}, ", end="")
    print(f"TF-IDF {tfidf:.4f}; speedups {json.dumps(metrics['speedup'])}")
    failed = [name for name, holds in checks.items() if not holds]
    print("\n".join(f"FAILED: {name}" for name in failed) or f"all {len(checks)} checks hold")
    sys.exit(1 if failed else 0)


def at(metrics: dict[str, Any], path: str) -> Any:
    value: Any = metrics
    for key in path.split("."):
        value = value[key]
    return value


if __name__ == "__main__":
    main()
