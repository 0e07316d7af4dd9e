"""Matplotlib takes the list of fonts that an image brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from decant.runner.font_list import take_font_list

LIST = "import matplotlib.font_manager as m; print(m.fontManager.defaultFamily['ttf'])"


def families(folder: Path) -> str:
    """The default family, as a new process finds it with this folder."""
    environment = os.environ | {"MPLCONFIGDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", LIST], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_matplotlib_reads_the_list_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, here = tmp_path / "image", tmp_path / "here" / "matplotlib"
    assert families(image) == "DejaVu Sans"
    (file,) = image.glob("fontlist-*.json")
    marked = file.read_text("utf-8").replace('"DejaVu Sans"', '"Of The Image"')
    file.write_text(marked, "utf-8")
    monkeypatch.setenv("DECANT_FONTS", str(image))
    monkeypatch.setenv("MPLCONFIGDIR", str(here))
    take_font_list()
    assert families(here) == "Of The Image"
    (here / file.name).write_text(marked.replace("Of The Image", "Mine"), "utf-8")
    take_font_list()
    assert families(here) == "Mine", "an own list stays"


def test_nothing_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "here"))
    monkeypatch.delenv("DECANT_FONTS", raising=False)
    take_font_list()
    assert not (tmp_path / "here").exists()
    monkeypatch.setenv("DECANT_FONTS", str(tmp_path / "missing"))
    (tmp_path / "here").write_text("a file in the way")
    take_font_list()
