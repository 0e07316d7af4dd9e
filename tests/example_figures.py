"""The metrics.json of a default run, for tests to change."""

import json
from pathlib import Path
from typing import Any

from decant.figures.evaluation_figures import Figures

GOLDEN = Path(__file__).parent / "decant" / "figures" / "golden" / "metrics.json"


def metrics() -> dict[str, Any]:
    """Its content, anew for each test."""
    content: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
    return content


def figures_of(content: dict[str, Any]) -> Figures:
    """As they are read from a file with this content."""
    return Figures.model_validate_json(json.dumps(content))
