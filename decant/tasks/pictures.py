"""The pictures of the report, as PNG.

A kind's pictures.py has

    draw(tested, target, titles)    the pictures that tables.py names in its sections, figures of
                                    matplotlib by name, and the indices of the labels that they show
                                    by number
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from decant.tasks.kinds import part
from decant.tasks.task import Target, Task


@dataclass(frozen=True, kw_only=True)
class TargetPictures:
    """The drawn pictures of one target.

    Attributes:
        files: by the pictures' names.
        numbered: indices of the labels that they show by number.
    """

    files: Mapping[str, Path]
    numbered: Collection[int]


def draw_targets(
    folder: Path,
    task: Task,
    tested: Mapping[str, Mapping[str, Any]],
    titles: Mapping[str, Mapping[str, str]],
) -> dict[str, TargetPictures]:
    """Draw each target's pictures into the folder.

    Args:
        tested: by target, the kind's Quality per model.
        titles: by target, of the models.
    """
    drawn = {}
    for number, target in enumerate(task.targets, start=1):
        figures, numbered = _of(target).draw(tested[target.name], target, titles[target.name])
        start = f"{number}_{_plain(target.name)}_" if len(task.targets) > 1 else ""
        files = {name: folder / f"{start}{name}.png" for name in figures}
        for name, figure in figures.items():
            save_picture(figure, files[name])
        drawn[target.name] = TargetPictures(files=files, numbered=numbered)
    return drawn


def save_picture(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, and close it."""
    figure.savefig(file, dpi=120, bbox_inches="tight", pad_inches=0.12, metadata={"Software": None})
    plt.close(figure)


def _plain(name: str) -> str:
    """A name as part of a file's: the number in front of it tells equal ones apart."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)[:40]


def _of(target: Target) -> Any:
    return part(target.kind, "pictures")
