"""python -m tests.chaos: seeded attacks on Decant, and a table of how each kind ended.

Exit code 1 when an attack ended in a traceback, silently or not at all, and when the time was over
before all were tried.
"""

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import click
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# As the commands that are started have it: with other threads a sound run has other bytes.
os.environ["OMP_NUM_THREADS"] = "1"

from tests.chaos.attack import Record
from tests.chaos.campaign import Campaign, Result, families
from tests.chaos.command import INTERRUPTED
from tests.chaos.table import is_clean, show

ATTACKS = Path("build/chaos/attacks.jsonl")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", default=13, show_default=True, help="of all that varies")
@click.option("--minutes", default=20.0, show_default=True, help="no attack begins after them")
@click.option("--only", default="", help="families, such as kills,requests; all when left out")
@click.option("--share", default=1.0, show_default=True, help="of each family's attacks, >0 to 1")
@click.option("--number", type=int, help="the one attack to make again, with --only")
def main(seed: int, minutes: float, only: str, share: float, number: int | None) -> None:
    """Attack Decant: kills, damaged caches, full disks, odd files, bad requests."""
    known = families()
    names = only.split(",") if only else known
    if unknown := sorted(set(names) - set(known)):
        raise click.BadParameter(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if number is not None and len(names) != 1:
        raise click.BadParameter("--number needs one family: --only FAMILY")
    console = Console()
    results: list[Result] = []
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda number, frame: _stop(stop, number, frame))
    ATTACKS.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * minutes
    with ATTACKS.open("w", encoding="utf-8") as file, _progress(console) as progress:
        bars = {name: progress.add_task(name, total=None) for name in names}

        def seen(record: Record) -> None:
            print(json.dumps(dataclasses.asdict(record), ensure_ascii=False), file=file, flush=True)
            progress.advance(bars[record.family])

        campaign = Campaign(
            seed=seed, deadline=deadline, share=share, number=number, stop=stop, seen=seen
        )
        for name in names:
            progress.update(bars[name], total=len(campaign.asked(name)))
        try:
            campaign.run(names, results)
        except KeyboardInterrupt:
            stop.set()
    show(console, results, cut_off="Ctrl-C" if stop.is_set() else "the time was over")
    console.print(f"each attack: {ATTACKS}")
    raise SystemExit(130 if stop.is_set() else 0 if is_clean(results) else 1)


def _stop(stop: threading.Event, number: int, frame: FrameType | None) -> None:
    """Ctrl-C: what is at work is killed, which ends its attack; then the table is shown."""
    stop.set()
    INTERRUPTED.set()
    for process in psutil.Process().children(recursive=True):
        process.kill()
    raise KeyboardInterrupt


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


if __name__ == "__main__":
    main()
