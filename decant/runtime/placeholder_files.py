"""Files that stand for others: pointers of Git LFS and DVC, web pages in place of a download."""

from pathlib import Path

from decant.runtime.errors import UserError

_HEAD_BYTES = 1000
_MARKUP = ("<!doctype", "<html", "<?xml", "<head", "<body")


def refuse_placeholder(file: Path, name: str = "") -> None:
    """Raises UserError for a file that is not the content that its name promises.

    Args:
        name: for the message; the path when it is not given.
    """
    with file.open("rb") as stream:
        text = stream.read(_HEAD_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
    shown, beginning = name or str(file), text[:200].lstrip().lower()
    if beginning.startswith("version https://git-lfs"):
        raise UserError(
            f"{shown} is a Git LFS pointer, not the file itself",
            code="file-placeholder",
            hint="fetch the file with `git lfs pull`",
        )
    if beginning.startswith("outs:") and "md5:" in text[:400]:
        raise UserError(
            f"{shown} is a DVC pointer, not the file itself",
            code="file-placeholder",
            hint="fetch the file with `dvc pull`, and give the one that it names",
        )
    if beginning.startswith(_MARKUP):
        raise UserError(
            f"{shown} is a web page or XML, not the file itself",
            code="file-placeholder",
            hint="open it: it may be a login or error page in place of the file",
        )
