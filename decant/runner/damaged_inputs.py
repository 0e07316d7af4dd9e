"""Whether the inputs of a step are what the steps behind it wrote."""

from collections.abc import Mapping
from pathlib import Path

from decant.runtime.artifacts import Card
from decant.runtime.errors import UserError


def refuse_damaged(
    paths: Mapping[str, Path], cards: Mapping[str, Card], found: Mapping[str, Mapping[str, str]]
) -> None:
    """Raises UserError for a file that is missing, or is not the one that its card names.

    A card from before there were digests names none, and nothing is compared.

    Args:
        paths: the inputs' folders, by port.
        found: of each the sha256 of every file.
    """
    for port, card in cards.items():
        for name, expected in card.files.items():
            digest = found[port].get(name)
            if digest == expected:
                continue
            file = paths[port] / name
            problem = (
                f"its sha256 is {digest}, the step wrote {expected}" if digest else "it is missing"
            )
            raise UserError(
                f"{file} is not the file that {card.step} wrote: {problem}",
                code="artifact-damaged",
                hint=f"make it again: `decant step {card.step}`, or `dvc repro`",
            )
