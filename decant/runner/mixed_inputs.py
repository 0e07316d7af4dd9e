"""Whether the inputs of a step belong together: made from each other, and by one run of a step."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from decant.runtime.artifacts import Card
from decant.runtime.errors import UserError

_HINT = (
    "give the artifacts of one run, or run the steps behind them again, in order (`dvc repro`); a "
    "step that was killed while it wrote leaves such a mixture"
)


def lineage(cards: Mapping[str, Card], digests: Mapping[str, str]) -> dict[str, str]:
    """The content digests of the inputs and of all artifacts behind them, by port.

    Args:
        cards: of the inputs, by port.
        digests: content digests of the inputs that do not vary, by port.
    """
    found: dict[str, str] = {}
    for port, card in cards.items():
        found |= card.lineage
        found |= {port: digests[port]} if port in digests else {}
    return dict(sorted(found.items()))


def refuse_mixed_inputs(
    step: str, paths: Mapping[str, Path], cards: Mapping[str, Card], digests: Mapping[str, str]
) -> None:
    """Raises UserError, with both digests, for inputs that were not made from each other.

    Args: as `lineage`; `paths` are the inputs' folders.
    """
    for port, card in cards.items():
        for other, expected in card.lineage.items():
            if digests.get(other, expected) != expected:
                raise _mismatch(
                    f"step {step}: --{port} {paths[port]} was not made from --{other} "
                    f"{paths[other]}: it was made from {other} {expected}, and this is "
                    f"{digests[other]}"
                )
    for (one, card), (two, other_card) in combinations(cards.items(), 2):
        both = f"step {step}: --{one} {paths[one]} and --{two} {paths[two]}"
        if card.step == other_card.step and card.identity != other_card.identity:
            raise _mismatch(
                f"{both} are of different runs of {card.step}: their identities are "
                f"{card.identity} and {other_card.identity}"
            )
        for port in sorted(card.lineage.keys() & other_card.lineage.keys()):
            if card.lineage[port] != other_card.lineage[port]:
                raise _mismatch(
                    f"{both} were made from different {port}: {card.lineage[port]} and "
                    f"{other_card.lineage[port]}"
                )


def _mismatch(problem: str) -> UserError:
    return UserError(problem, code="inputs-mismatch", hint=_HINT)
