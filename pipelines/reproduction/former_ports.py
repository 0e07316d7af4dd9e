"""Ports that have another name in versions registered with Decant 0.1."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from decant.runtime.steps import artifact_folder

T = TypeVar("T")

_FORMER = {"initial_student": "student0"}  # name of today → name then


def names_of(port: str) -> tuple[str, ...]:
    """The port's name of today, then its former one."""
    return (port, _FORMER[port]) if port in _FORMER else (port,)


def with_present_names(by_port: Mapping[str, T]) -> dict[str, T]:
    """The mapping with former names replaced by those of today."""
    present = {former: port for port, former in _FORMER.items()}
    return {present.get(port, port): value for port, value in by_port.items()}


def folder_in(project: Path, port: str) -> Path:
    """Where the port's artifact is in a checkout, which may be of an older commit."""
    folders = [project / artifact_folder(name) for name in names_of(port)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
