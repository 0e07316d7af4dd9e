"""The list of fonts that an image brings, so that no container has to make it again."""

import os
import shutil
from pathlib import Path

FONTS = "DECANT_FONTS"  # a folder with Matplotlib's list, as docker/Dockerfile makes it
_MATPLOTLIB = "MPLCONFIGDIR"


def take_font_list() -> None:
    """Copy it to where Matplotlib looks, which has to be a folder that it can write in.

    Without it, or where it cannot be copied, Matplotlib makes its own when it first draws.
    """
    source, target = os.environ.get(FONTS), os.environ.get(_MATPLOTLIB)
    if not source or not target:
        return
    try:
        Path(target).mkdir(parents=True, exist_ok=True)
        for file in Path(source).glob("fontlist-*.json"):
            if not (Path(target) / file.name).exists():
                shutil.copy(file, target)
    except OSError:
        return
