"""Compare a rebuilt version with the registered one: its digests, and causes of differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.evaluate.machine import machine_facts
from components.register.registry import CARD_FILE
from decant.figures.timing_figures import Machine
from decant.runtime.artifacts import CARD, read_card, read_sidecar
from decant.runtime.identity import content_digest, file_digest
from decant.runtime.steps import load_step, steps_behind
from decant.tracking.registered_model import exported_folder
from pipelines.reproduction.former_ports import folder_in
from pipelines.reproduction.version_lineage import Lineage

EQUAL, DIFFERS, MISSING = "equal", "differs", "missing"
NOT_RECORDED, MEASURED = "not recorded", "measured times"
RUN, RESTORED = "run", "restored"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A port, or a file of the registered model.

    Attributes:
        recorded, now: digests; empty where there is none.
        verdict: EQUAL, DIFFERS, MISSING; NOT_RECORDED and MEASURED do not count.
        how: RUN now, or RESTORED from DVC's cache or remote; empty for a file.
    """

    name: str
    recorded: str
    now: str
    verdict: str
    how: str = ""

    @property
    def is_reproduced(self) -> bool:
        return self.verdict not in (DIFFERS, MISSING)


def compare_artifacts(lineage: Lineage, project: Path) -> list[Artifact]:
    """Every port that the rebuilt stages wrote, in the pipeline's order."""
    ports = [port for step in steps_behind("register") for port in load_step(step).output_ports]
    return [_port(port, lineage, folder_in(project, port)) for port in ports]


def compare_files(registered: Path, project: Path) -> list[Artifact]:
    """The files of the registered model's folder, as it was downloaded, without its card.

    Raises UserError when it has no exported model.
    """
    exported = exported_folder(registered, "the registered model")
    now = folder_in(project, "onnx") / "student"
    found = []
    for file in sorted(exported.iterdir()):
        if file.name in (CARD_FILE, CARD):
            continue
        ours = now / file.name
        digest = file_digest(ours) if ours.is_file() else ""
        found.append(_compared(f"student/{file.name}", file_digest(file), digest))
    return found


def other_versions(lineage: Lineage, project: Path) -> dict[str, str]:
    """Libraries and their threads that differ from the registered run's: `numpy: 2.1, now 2.2`."""
    found: dict[str, str] = {}
    for run in lineage.steps:
        for port in run.artifacts:
            folder = folder_in(project, port)
            if (folder / CARD).is_file():
                card = read_card(folder)
                found |= _differing(run.versions, card.versions)
                found |= _differing(_as_facts(run.threads), _as_facts(card.threads))
    return found


def other_machine(lineage: Lineage) -> dict[str, str]:
    """How this machine differs from evaluate's: `cores: 8, now 2`; empty if unknown."""
    if not lineage.machine:
        return {}
    now = machine_facts(lineage.machine.threads)
    return _differing(_as_text(lineage.machine), _as_text(now))


def _port(port: str, lineage: Lineage, folder: Path) -> Artifact:
    recorded = lineage.digests.get(port, "")
    if not (folder / CARD).is_file():
        return _compared(port, recorded, "")
    how = RUN if read_sidecar(folder) else RESTORED
    now = content_digest(folder)
    if read_card(folder).varying:
        return Artifact(name=port, recorded=recorded, now=now, verdict=MEASURED, how=how)
    return _compared(port, recorded, now, how)


def _compared(name: str, recorded: str, now: str, how: str = "") -> Artifact:
    if not now:
        verdict = MISSING
    elif not recorded:
        verdict = NOT_RECORDED
    else:
        verdict = EQUAL if recorded == now else DIFFERS
    return Artifact(name=name, recorded=recorded, now=now, verdict=verdict, how=how)


def _as_facts(threads: Mapping[str, int]) -> dict[str, str]:
    return {f"threads of {library}": str(number) for library, number in threads.items()}


def _as_text(machine: Machine) -> dict[str, str]:
    return {key: str(value) for key, value in sorted(machine)}


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{version}, now {now.get(name, 'absent')}"
        for name, version in before.items()
        if now.get(name) != version
    }
