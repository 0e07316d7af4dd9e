"""Checks the figures of the main job: what the student must reach, and that all of it is there.

The bounds lie a little below the default run's figures, by about the spread between seeds, since on
another machine rounding takes training another way. Times are reported, never asserted.
"""

import json
import sys
from pathlib import Path

from decant.figures.metrics_file import METRICS, as_json, read_figures


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    figures = read_figures(root / "reports" / METRICS)
    receipt = json.loads((root / "artifacts" / "receipt" / "receipt.json").read_text("utf-8"))
    student, controls = figures.student, figures.controls
    checks = {
        "teacher is at least 77 %": figures.teacher.accuracy >= 0.77,
        "student keeps at least 96 % of it": (student.retention or 0.0) >= 0.96,
        "student is 7 points above TF-IDF": student.accuracy >= controls.tfidf.accuracy + 0.07,
        "student is above the undistilled one": student.accuracy > controls.undistilled.accuracy,
        "student is smaller than 25 MB": student.size_bytes < 25e6,
        "the gate passed": figures.gate.passed,
        "a model version is registered": receipt["registered"] is True,
        "the retention has an interval": student.retention_interval is not None,
    }
    for model in ("student", "teacher", "bert_base"):
        latency = figures.latency_p50_us[model]
        checks[f"{model} is timed"] = None not in (latency.model, latency.end_to_end)
    for part, ratios in (
        ("model", figures.speedup.model),
        ("end to end", figures.speedup.end_to_end),
    ):
        for other in ("teacher", "bert_base"):
            checks[f"{part}: student and {other} are compared"] = ratios.over(other) is not None
    print(
        f"teacher {figures.teacher.accuracy:.4f}, student {student.accuracy:.4f}, "
        f"undistilled {controls.undistilled.accuracy:.4f}, TF-IDF {controls.tfidf.accuracy:.4f}; "
        f"speedups {json.dumps(as_json(figures.speedup))}"
    )
    failed = [name for name, holds in checks.items() if not holds]
    print("\n".join(f"FAILED: {name}" for name in failed) or f"all {len(checks)} checks hold")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
