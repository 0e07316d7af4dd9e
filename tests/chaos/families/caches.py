"""What lies in Decant's cache, damaged: it is noticed and made again, never believed.

The caches are those of a run that fetched its sources, of a finished `distill` (augmented rows, the
teacher's logits) and of trainings that were killed (checkpoints).
"""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from decant.runtime.artifacts import write_json
from decant.runtime.cache_folder import DIGEST_SUFFIX
from decant.runtime.identity import content_digest
from decant.training import saving
from tests.chaos.attack import Attack, Attempt, attempt
from tests.chaos.command import environment, finished, started
from tests.chaos.unharmed import Unharmed, unharmed, until
from tests.damages import cut_in_half, empty, flip_a_bit
from tests.flaky_server import FlakyServer, serving

COUNT = 40
SECONDS = 80.0
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A cache as a run has left it, and the step that reads it next."""

    name: str
    cache: Path
    step: str
    whole: Unharmed


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """The caches, each made by the real step."""
    whole = unharmed()
    with _fetched(folder / "fetched", whole) as fetched:
        kept = [
            fetched,
            Kept(name="rows and logits", cache=whole.root / "cache", step="distill", whole=whole),
            _cut_off(folder / "finetune", whole, "finetune", "teacher"),
            _cut_off(folder / "distill", whole, "distill", "student"),
        ]

        def attack(draw: random.Random, own: Path) -> Attempt:
            return damaged(draw.choice(kept), draw, own)

        yield attack


def damaged(kept: Kept, draw: random.Random, own: Path) -> Attempt:
    """The step reads a copy of the cache, of which one file or folder is damaged."""
    cache = own / "cache"
    shutil.copytree(kept.cache, cache)
    victim = draw.choice(sorted(path for path in cache.rglob("*") if path.suffix != ".lock"))
    harms = FOLDER_HARMS if victim.is_dir() else FILE_HARMS
    harm = draw.choice(sorted(harms))
    done = f"{kept.name}: {victim.relative_to(cache)} {harm}, then {kept.step}"
    harms[harm](victim, draw)
    (own / "outputs").mkdir()
    ended = finished(kept.whole.words(kept.step, own / "outputs"), own, environment(own))
    wrong = [kept.whole.difference(kept.step, own / "outputs"), *_unsound(cache)]
    return attempt(done, ended, "; ".join(one for one in wrong if one) if ended.code == 0 else "")


def _another(victim: Path, draw: random.Random) -> None:
    """The content of another one of the cache, of the same kind where there is one."""
    others = [path for path in victim.parent.parent.rglob("*") if path.is_file()]
    content = draw.choice(sorted({*others} - {victim}) or [victim]).read_bytes()
    victim.write_bytes(content if content != victim.read_bytes() else content + b"x")


def _a_folder(victim: Path, draw: random.Random) -> None:
    victim.unlink()
    victim.mkdir()
    (victim / "file").write_bytes(b"x")


def _a_file(victim: Path, draw: random.Random) -> None:
    shutil.rmtree(victim)
    victim.write_bytes(b"x")


def _a_link_to_nothing(victim: Path, draw: random.Random) -> None:
    victim.unlink()
    victim.symlink_to("nothing")


def _a_partial_file(victim: Path, draw: random.Random) -> None:
    """Beside it, as a killed process, DVC or a file manager leaves one."""
    marks = ["{}.part", ".{}.partial", ".{}.tmp", "{}~", ".1-1-00000000-00000000.{}"]
    content = victim.read_bytes() if victim.is_file() else b"xx"
    victim.with_name(draw.choice(marks).format(victim.name)).write_bytes(
        content[: len(content) // 2]
    )


Harm = Callable[[Path, random.Random], None]
FILE_HARMS: dict[str, Harm] = {
    "cut in half": lambda victim, draw: cut_in_half(victim),
    "with a flipped bit": lambda victim, draw: _flip(victim),
    "emptied": lambda victim, draw: empty(victim),
    "removed": lambda victim, draw: victim.unlink(),
    "with the content of another": _another,
    "replaced by a folder": _a_folder,
    "replaced by a link to nothing": _a_link_to_nothing,
    "with a partial file beside it": _a_partial_file,
}
FOLDER_HARMS: dict[str, Harm] = {
    "removed": lambda victim, draw: shutil.rmtree(victim),
    "emptied": lambda victim, draw: (shutil.rmtree(victim), victim.mkdir())[1],
    "replaced by a file": _a_file,
    "with a partial file beside it": _a_partial_file,
}


def _flip(victim: Path) -> None:
    """An empty file has no bit."""
    if victim.stat().st_size:
        flip_a_bit(victim)
    else:
        victim.write_bytes(b"\x01")


def _unsound(cache: Path) -> Iterator[str]:
    """What is still damaged after the step: a later one would have to find it again."""
    for digest in cache.rglob(f"*{DIGEST_SUFFIX}"):
        content = digest.with_name(digest.name.removesuffix(DIGEST_SUFFIX))
        if digest.parent.name in ("rows", "logits") and (
            not content.exists() or content_digest(content) != digest.read_text("utf-8").strip()
        ):
            yield f"{content.relative_to(cache)} is still damaged"


@contextmanager
def _fetched(folder: Path, whole: Unharmed) -> Iterator[Kept]:
    """The cache of an `ingest` whose two sources come over HTTP; they can be fetched again."""
    folder.mkdir()
    params = whole.read_params()
    rows = Path(params["ingest"]["source"]).read_bytes()
    texts = b"a film of the plot\nthe story is with it\n"
    with serving(FlakyServer({"/reviews.csv": rows, "/more.txt": texts})) as server:
        params["ingest"] |= {
            "source": server.pinned("/reviews.csv"),
            "unlabelled": [f"{server.url}/more.txt"],
        }
        write_json(folder / "params.json", params)
        own = replace(whole, root=folder, params=folder / "params.json")
        ended = finished(own.words("ingest", folder), folder, environment(folder))
        if ended.code:
            raise RuntimeError(f"ingest over HTTP failed without harm:\n{ended.output}")
        digests = {port: content_digest(folder / port) for port in ("corpus", "encoder")}
        cache = folder / "cache"
        yield Kept(
            name="downloads", cache=cache, step="ingest", whole=replace(own, digests=digests)
        )


def _cut_off(folder: Path, whole: Unharmed, step: str, training: str) -> Kept:
    """The cache of a step that was killed when a training had a checkpoint."""
    (folder / "outputs").mkdir(parents=True)
    given = environment(folder, **{saving.VARIABLE: "0"})
    with started(whole.words(step, folder / "outputs"), folder, given) as running:
        until(lambda: any(folder.glob(f"cache/checkpoints/*/*/{training}-*/*.sha256")), running)
    return Kept(name=f"{step} cut off", cache=folder / "cache", step=step, whole=whole)
