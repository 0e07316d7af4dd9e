"""The temporary copies of a project in which `dvc exp run --temp` and its queue work."""

from pathlib import Path

from decant.runtime import identity


def original_project() -> Path | None:
    """The project's root that this one is a temporary copy of; None when it is none.

    Such a copy is in <root>/.dvc/tmp/exps/NAME, or .../standalone/NAME, below which the project
    has the same place as it has below the root of the repository.
    """
    project = identity.PROJECT
    for folder in project.parents:
        copies = folder / "tmp" / "exps"
        if folder.name != ".dvc" or not project.is_relative_to(copies):
            continue
        parts = project.relative_to(copies).parts
        inside = parts[2:] if parts[0] == "standalone" else parts[1:]
        root = folder.parent.joinpath(*inside)
        return root if root.is_dir() else folder.parent
    return None
