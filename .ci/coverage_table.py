"""Prints how much of the code the tests ran: in all, per top folder, and the files with the least.

Reads what SlipCover writes. Lines count that ran in the tests' own processes: what only a
subprocess runs (`decant` in another environment, KFP's tasks, TrainJob nodes) shows as missing.
"""

import json
import sys
from collections import Counter
from pathlib import Path

LOWEST_FILES = 12


def main(report: Path) -> None:
    """Print the table of a report: JSON with the lines that ran, and that did not, per file."""
    files = json.loads(report.read_text("utf-8"))["files"]
    ran = Counter({name: len(file["executed_lines"]) for name, file in files.items()})
    missed = Counter({name: len(file["missing_lines"]) for name, file in files.items()})
    rows = [("all", sum(ran.values()), sum(missed.values()))]
    for folder in sorted({name.partition("/")[0] for name in files}):
        own = [name for name in files if name.startswith(f"{folder}/")]
        done, left = (sum(counts[name] for name in own) for counts in (ran, missed))
        rows.append((f"{folder}/", done, left))
    some = [name for name in files if ran[name] + missed[name] > 0]
    lowest = sorted(some, key=lambda name: (_share(ran[name], missed[name]), name))[:LOWEST_FILES]
    rows += [(name, ran[name], missed[name]) for name in lowest]
    print(f"\n== coverage: lines that ran, and the {len(lowest)} files with the least")
    for name, done, left in rows:
        print(f"  {_share(done, left):6.1%} of {done + left:6}  {name}")


def _share(ran: int, missed: int) -> float:
    return ran / (ran + missed) if ran + missed else 1.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
