"""The remotes of this checkout, for a worktree of an older commit."""

from configparser import RawConfigParser
from pathlib import Path

_FILES = ("config", "config.local")  # the later one overrides the earlier one


def write_dvc_config(ours: Path, theirs: Path) -> Path:
    """Write `config.local` of another `.dvc` folder: our remotes, our local settings.

    A remote's path is relative to the `.dvc` folder of its file, so it is made absolute.

    Returns the file. It may have credentials: its owner alone reads it, and removes it.
    """
    merged = _parser()
    for name in _FILES:
        found = _parser()
        found.read(ours / name, "utf-8")
        for section in found.sections():
            is_remote = "remote " in section
            if not (is_remote or name == "config.local" or found.has_option(section, "remote")):
                continue
            if not merged.has_section(section):
                merged.add_section(section)
            for key, value in found.items(section):
                if is_remote or name == "config.local" or key == "remote":
                    is_path = is_remote and key == "url" and "://" not in value
                    merged.set(section, key, str((ours / value).resolve()) if is_path else value)
    file = theirs / "config.local"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    with file.open("w", encoding="utf-8") as stream:
        merged.write(stream)
    return file


def _parser() -> RawConfigParser:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser
