"""The files of SOURCE and their purpose: training data, given splits, more text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from decant import sources
from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest
from decant.runtime.secrets import without_secrets
from decant.tables import formats, known_format
from pipelines.onboarding.file_content import content_format
from pipelines.onboarding.questions import Questions

_ROLES = {
    "source": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev", "development"},
    "test": {"test", "testing"},
    "unlabelled": {"unlabelled", "unlabeled", "unsupervised", "unsup"},
}


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file or folder of files with one purpose.

    Attributes:
        uri: as in the parameter.
        files: what is read, in this order.
        format_name: the reader whose rules the content follows.
    """

    uri: str
    files: tuple[Path, ...]
    format_name: str

    @property
    def named_so(self) -> bool:
        """Whether the files' names imply that format."""
        return all(known_format(file) == self.format_name for file in self.files)


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """What SOURCE and the options name.

    Attributes:
        aside: names of files in the folder that are not read.
        how: why this is the source, in words.
    """

    source: DataFile
    validation: DataFile | None = None
    test: DataFile | None = None
    unlabelled: tuple[DataFile, ...] = ()
    aside: tuple[str, ...] = ()
    how: str = "the file"

    def all(self) -> list[DataFile]:
        given = [one for one in (self.validation, self.test) if one]
        return [self.source, *given, *self.unlabelled]

    def format_parameter(self) -> str:
        """`auto`, or the one format that the names do not imply.

        Raises UserError where one value cannot fit all files.
        """
        if all(one.named_so for one in self.all()):
            return "auto"
        found = {one.format_name: one.files[0].name for one in self.all()}
        if len(found) > 1:
            listed = ", ".join(f"{file} is {name}" for name, file in found.items())
            raise UserError(
                f"the files have different formats, which their names do not imply: {listed}",
                code="formats-mixed",
                hint=f"name each by its format; formats: {', '.join(formats())}",
            )
        return next(iter(found))


def find_data(
    uri: str,
    questions: Questions,
    *,
    validation: str | None = None,
    test: str | None = None,
    unlabelled: Sequence[str] = (),
) -> DataFiles:
    """The files behind a path, folder or source URI; given options win over names.

    Raises UserError for a file that is missing, not a table, or of unclear purpose.
    """
    path = sources.fetch(uri)
    found = _in_folder(uri, path, questions) if path.is_dir() else DataFiles(source=_one(uri, path))
    return DataFiles(
        source=found.source,
        validation=_named(validation) or found.validation,
        test=_named(test) or found.test,
        unlabelled=tuple(filter(None, map(_named, unlabelled))) or found.unlabelled,
        aside=found.aside,
        how=found.how,
    )


def role_of(name: str) -> str | None:
    """source, validation, test or unlabelled, from the words of a file's name, else None."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    roles = [role for role, known in _ROLES.items() if words & known]
    if "unlabelled" in roles:
        return "unlabelled"
    return roles[0] if len(roles) == 1 else None


def inner_uri(uri: str, folder: Path, name: str) -> str:
    """The URI of a file in the folder that a URI names; a pin stays one."""
    if "://" not in uri:
        return str(Path(uri).expanduser() / name)
    address, _, fragment = uri.partition("#")
    inner = f"{address.rstrip('/')}/{quote(name)}"
    if not fragment:
        return inner
    if uri.startswith("pypi://"):  # the pin is the wheel's
        return f"{inner}#{fragment}"
    return f"{inner}#sha256={content_digest(folder / name)}"


def shown_name(data: DataFile) -> str:
    """The file's name, or a URI without its pin."""
    if "://" not in data.uri:
        return Path(data.uri).name
    return without_secrets(data.uri).partition("#")[0]


def _named(uri: str | None) -> DataFile | None:
    if uri is None:
        return None
    path = sources.fetch(uri)
    return _table_folder(uri, path) if path.is_dir() else _one(uri, path)


def _one(uri: str, path: Path) -> DataFile:
    uri = uri if "://" in uri else str(Path(uri).expanduser())
    return DataFile(uri=uri, files=(path,), format_name=content_format(path))


def _in_folder(uri: str, folder: Path, questions: Questions) -> DataFiles:
    entries = [entry for entry in sorted(folder.iterdir()) if _is_data(entry)]
    if not entries:
        raise UserError(
            f"no data file in the folder '{folder}'",
            code="folder-empty",
            hint=f"give a file, or add one; formats: {', '.join(formats())}",
        )
    by_role: dict[str, list[Path]] = {}
    others = []
    for entry in entries:
        role = role_of(entry.name)
        by_role.setdefault(role, []).append(entry) if role else others.append(entry)
    tables = [entry for entry in others if entry.is_file() and known_format(entry) != "txt"]
    if "source" not in by_role and by_role and len(tables) == 1:
        by_role["source"] = tables  # reviews.csv beside test.csv
    if "source" in by_role:
        return _given_splits(uri, folder, by_role, others)
    if by_role:
        raise _cannot_tell(folder, entries)
    return _plain_folder(uri, folder, others, questions)


def _given_splits(
    uri: str, folder: Path, by_role: dict[str, list[Path]], others: Sequence[Path]
) -> DataFiles:
    found: dict[str, DataFile] = {}
    for role in ("source", "validation", "test"):
        if role not in by_role:
            continue
        if len(by_role[role]) > 1:
            names = ", ".join(entry.name for entry in by_role[role])
            what = {"source": "training data"}.get(role, f"{role} split")
            raise UserError(
                f"several files of '{folder}' may be the {what}: {names}",
                code="split-ambiguous",
                hint="put the files of each split into its own folder (train/, test/), or "
                "name one file and give --validation and --test",
            )
        found[role] = _entry(uri, folder, by_role[role][0])
    extra = [_entry(uri, folder, entry) for entry in by_role.get("unlabelled", [])]
    read = set(by_role["source"])
    return DataFiles(
        source=found["source"],
        validation=found.get("validation"),
        test=found.get("test"),
        unlabelled=tuple(extra),
        aside=tuple(entry.name for entry in others if entry not in read),
        how="named as the training data",
    )


def _plain_folder(
    uri: str, folder: Path, entries: Sequence[Path], questions: Questions
) -> DataFiles:
    """One table, several that are read one after the other, or a question."""
    files = [entry for entry in entries if entry.is_file()]
    tables = [file for file in files if known_format(file) != "txt"] or files
    if not files:
        raise _cannot_tell(folder, entries)
    kinds = Counter(known_format(file) for file in files)
    if len(tables) == 1 or len(kinds) == 1:
        chosen, how = tables, "the only table there"
    else:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=str))
        name = questions.choose(
            UserError(
                f"the folder '{folder}' has files of different formats ({counts})",
                code="formats-mixed",
                hint=f"name one of them: {', '.join(file.name for file in tables[:8])}",
            ),
            "Which one is the data?",
            {file.name: known_format(file) or "" for file in tables},
        )
        chosen, how = [folder / name], "chosen"
    if len(chosen) > 1:
        whole = _table_folder(uri, folder)
        return DataFiles(source=whole, how=f"{len(whole.files)} files, read one after the other")
    aside = tuple(entry.name for entry in entries if entry not in chosen)
    return DataFiles(source=_entry(uri, folder, chosen[0]), aside=aside, how=how)


def _entry(uri: str, folder: Path, entry: Path) -> DataFile:
    inner = inner_uri(uri, folder, entry.name)
    return _table_folder(inner, entry) if entry.is_dir() else _one(inner, entry)


def _table_folder(uri: str, folder: Path) -> DataFile:
    """A folder whose files ingest reads one after the other: all of one format."""
    files = tuple(
        file for file in sorted(folder.iterdir()) if file.is_file() and known_format(file)
    )
    if not files:
        raise UserError(
            f"no data file in the folder '{folder}'",
            code="folder-empty",
            hint=f"add a file; formats: {', '.join(formats())}",
        )
    found = {content_format(file): file.name for file in files}
    if len(found) > 1:
        listed = ", ".join(f"{file} is {name}" for name, file in found.items())
        raise UserError(
            f"the folder '{folder}' has files of different formats: {listed}",
            code="formats-mixed",
            hint="name one file, or keep one format there",
        )
    uri = uri if "://" in uri else str(Path(uri).expanduser())
    return DataFile(uri=uri, files=files, format_name=next(iter(found)))


def _is_data(entry: Path) -> bool:
    if entry.name.startswith((".", "_")):
        return False
    return entry.is_dir() or (entry.is_file() and known_format(entry) is not None)


def _cannot_tell(folder: Path, entries: Iterable[Path]) -> UserError:
    names = ", ".join(sorted(entry.name for entry in entries)[:8])
    return UserError(
        f"which file of '{folder}' is the training data is not clear from their names: {names}",
        code="training-file-unclear",
        hint="name it, and give --validation and --test for the others",
    )
