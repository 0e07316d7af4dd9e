"""What makes two things the same: of an artifact its content, of a step all that it depends on.

DVC, KFP's cache, MLflow's tags, resume and promotion all rest on the digests of this module.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from decant.runtime.termination import ended_later

if TYPE_CHECKING:
    import grimp


PROJECT = Path(__file__).resolve().parents[2]
LOCK_FILE = PROJECT / "requirements.lock"
LIBRARY = "decant"

# What one run writes about itself (run id, times, host). No digest covers it, DVC ignores it.
SIDECAR = "sidecar.json"

# A package that imports this module loads its siblings by name: it counts whole.
_PLUGIN_MARK = f"{LIBRARY}.runtime.plugins"
# A module beside this one that imports it loads the files of its own name in the folders there.
_PARTS_MARK = f"{LIBRARY}.tasks.kinds"


def content_digest(path: Path) -> str:
    """sha256 over the names and bytes of a file or of all files in a folder, sidecars left out."""
    return file_digest(path) if path.is_file() else folder_digest(file_digests(path))


def file_digests(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder by its path there, sorted, sidecars left out."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
    return {
        name: file_digest(file)
        for name, file in sorted(files.items())
        if file.is_file() and file.name != SIDECAR
    }


def folder_digest(files: Mapping[str, str]) -> str:
    """The content digest of a folder from its `file_digests`."""
    lines = (f"{name}\0{digest}\n" for name, digest in files.items())
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def file_digest(file: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_digest(text: str) -> str:
    """sha256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_json(value: object) -> str:
    """The one spelling of a value on which identities rest: sorted keys, no spaces, no NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def step_identity(
    step: str,
    params: object,
    inputs: Mapping[str, str],
    *,
    threads: Mapping[str, int] | None = None,
    code: str | None = None,
) -> str:
    """sha256 that two runs of a step share when they must give the same outputs.

    Args:
        params: the step's Params, seed included.
        inputs: content digest per input port (for ingest: the pin per source).
        threads: of the libraries whose number of threads the outputs depend on (`Step.threads`);
            without them it is what the step does, with however many threads.
        code: the step's code digest, when it is already known.
    """
    return text_digest(
        canonical_json(
            {
                "step": step,
                "params": canonical_json(params),
                "inputs": dict(inputs),
                "code": code or code_digest(step),
                "lock": lock_digest(),
                "threads": dict(threads or {}),
            }
        )
    )


@cache
def code_digest(step: str) -> str:
    """sha256 over the files of the step's folder and of the rooms of the library that it uses."""
    digest = hashlib.sha256()
    for path in code_files(step):
        digest.update(f"{_relative(path)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


@cache
def module_digest(module: str) -> str:
    """sha256 over a module's file, what it imports of its folder, and of the library, file by file.

    For what a step keeps between runs: it outlives changes of the step that do not concern it.
    """
    folder = f"{module.rpartition('.')[0]}."
    imported = _graph().find_upstream_modules(module)
    own = {name for name in {module, *imported} if name.startswith(folder)}
    files = sorted(_module_file(name) for name in own | library_closure(module))
    return text_digest("\n".join(f"{_relative(path)}\0{file_digest(path)}" for path in files))


@cache
def lock_digest() -> str:
    """sha256 of the lock file: the versions of every library."""
    return file_digest(LOCK_FILE)


def code_files(step: str) -> list[Path]:
    """The source files behind `code_digest`, sorted."""
    return sorted({file for path in code_dependencies(step) for file in _source_files(path)})


def code_dependencies(step: str) -> list[Path]:
    """What DVC lists as the step's code: its folder, and the rooms of the library that it uses.

    A room is a folder of `decant/`. It counts whole, so that the list can be read at a glance.
    """
    modules = library_closure(f"components.{step}.contract", f"components.{step}.step")
    rooms = {PROJECT / LIBRARY / name.split(".")[1] for name in modules}
    return sorted({PROJECT / "components" / step} | rooms)


def library_closure(*modules: str) -> set[str]:
    """All modules of the library that the modules import, directly or not.

    Package markers without code (`__init__.py` files that only hold a docstring) are left out.
    """
    graph = _graph()
    upstream: set[str] = set()
    pending = list(modules)
    while pending:
        module = pending.pop()
        found = graph.find_upstream_modules(module)
        if _is_plugin_folder(module):  # its modules are loaded by name, which no import shows
            plugins = graph.find_descendants(module)
            found = found.union(plugins, *map(graph.find_upstream_modules, plugins))
        parts = {part for name in (*found, module) for part in _loaded_parts(name)}
        found = found.union(parts, *map(graph.find_upstream_modules, parts))
        pending += [
            name for name in found - upstream if _is_plugin_folder(name) or _loaded_parts(name)
        ]
        upstream |= found
    return {
        name for name in upstream if name.startswith(f"{LIBRARY}.") and not _is_empty_package(name)
    }


def _relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@cache
def _graph() -> "grimp.ImportGraph":
    import grimp  # not in the base installation

    with ended_later():
        return grimp.build_graph(LIBRARY, "components", cache_dir=None)


def _module_file(module: str) -> Path:
    base = PROJECT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _is_plugin_folder(module: str) -> bool:
    is_package = _module_file(module).name == "__init__.py"
    return is_package and _PLUGIN_MARK in _graph().find_modules_directly_imported_by(module)


def _loaded_parts(module: str) -> set[str]:
    """decant.tasks.KIND.losses of decant.tasks.losses, for each kind."""
    package, _, name = module.rpartition(".")
    graph = _graph()
    if package != _PARTS_MARK.rpartition(".")[0] or (
        _PARTS_MARK not in graph.find_modules_directly_imported_by(module)
    ):
        return set()
    parts = {f"{kind}.{name}" for kind in graph.find_children(package)}
    return parts & graph.modules


def _is_empty_package(module: str) -> bool:
    is_package = _module_file(module).name == "__init__.py"
    return is_package and not _graph().find_modules_directly_imported_by(module)


def _source_files(folder: Path) -> Iterator[Path]:
    return (
        file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
    )
