"""What the steps of a local run had finished when it was cut off: its next attempt takes it over.

<DECANT_RUN>/finished/<identity>.json   content digest of each output port
<DECANT_RUN>/<attempt>/<step>/<port>/   where KFP's local runner has a step write
<DECANT_RUN>/../artifacts/<port>/       where `decant run` puts what a failed run had made

An identity covers code, parameters and inputs. The digests are compared when something is taken
over, so that nothing half written or changed since then is believed.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from decant.runtime.artifacts import CARD, read_json, write_json, written_whole
from decant.runtime.cache_folder import link_or_copy
from decant.runtime.identity import content_digest
from decant.runtime.log_lines import log_line
from decant.runtime.publishing import publish
from decant.runtime.steps import Step, artifact_folder

RUN = "DECANT_RUN"  # set by `decant run`: a folder that outlives an attempt
FINISHED = "finished"


def note_finished(step: Step, key: str, outputs: Mapping[str, Path]) -> None:
    """The outputs are published: a later attempt may take them over."""
    # Here: `decant run --help` needs no package that the base installation lacks.
    from decant.tracking.tracked_step import NEEDS_MLFLOW

    if not (record := _record(key)) or step.name in NEEDS_MLFLOW:  # those act, and act again
        return
    record.parent.mkdir(exist_ok=True)
    partial = record.with_name(f".{record.name}")
    write_json(partial, {port: content_digest(folder) for port, folder in outputs.items()})
    publish(partial, record)


def earlier_outputs(step: Step, key: str) -> dict[str, Path]:
    """What an earlier attempt has made at this identity, by port; empty unless all is there."""
    if not (record := _record(key)) or not record.is_file():
        return {}
    found: dict[str, Path] = {}
    for port, digest in read_json(record).items():
        folder = next(_folders(record.parent.parent, step.name, port), None)
        if folder is None or content_digest(folder) != digest:
            log_line(f"what an earlier attempt wrote as {port} is not whole: it is made again")
            return {}
        found[port] = folder
    return found


def take_over(earlier: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Publish them as this attempt's outputs, without a copy where the disk has links."""
    with written_whole(outputs) as folders:
        for port, folder in folders.items():
            shutil.copytree(earlier[port], folder, copy_function=link_or_copy, dirs_exist_ok=True)


def _record(key: str) -> Path | None:
    root = os.environ.get(RUN)
    return Path(root) / FINISHED / f"{key}.json" if root else None


def _folders(root: Path, step: str, port: str) -> Iterator[Path]:
    """The newest first."""
    attempts = sorted(root.glob(f"*/{step.replace('_', '-')}/{port}"), reverse=True)
    for folder in (*attempts, root.parent / artifact_folder(port)):
        if (folder / CARD).is_file():
            yield folder
