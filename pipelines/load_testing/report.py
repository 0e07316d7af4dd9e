"""The report's folder: results.json, report.md and the picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.shared.artifacts import write_json
from pipelines.load_testing.clients import Level
from pipelines.load_testing.figures import BUSY_SHARE
from pipelines.load_testing.picture import PICTURE, draw_picture
from pipelines.load_testing.startup import HEAVY

RESULTS, REPORT = "results.json", "report.md"


def write_report(folder: Path, content: Mapping[str, Any], levels: Sequence[Level]) -> None:
    """Write the folder's files anew.

    Args:
        content: JSON; what was asked, how, on which machine, and the figures of each level.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).unlink(missing_ok=True)
    draw_picture(folder, levels, content["levels"])
    write_json(folder / RESULTS, dict(content))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    drawn = PICTURE if (folder / PICTURE).is_file() else None
    text = environment.get_template("report.md.j2").render(
        **content, picture=drawn, busy_share=BUSY_SHARE, heavy=HEAVY
    )
    (folder / REPORT).write_text(text, "utf-8")
