"""The model card: purpose, quality, limits and origin of the model.

Its sections follow Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from collections.abc import Mapping
from pathlib import Path

from components.register.version_tags import Evidence
from decant.figures.metrics_file import dotted
from decant.figures.templates import template_environment

_LINEAGE = "decant."


def model_card(name: str, evidence: Evidence, tags: Mapping[str, str]) -> str:
    """The card as Markdown.

    Args:
        tags: of the model version; those of Decant are its lineage.
    """
    figures = evidence.figures
    return (
        template_environment(Path(__file__).parent)
        .get_template("model_card.md.j2")
        .render(
            name=name,
            student=evidence.manifest,
            figures=figures,
            data={
                key: value
                for key, value in sorted(dotted(figures.data).items())
                if not isinstance(value, list)
            },
            lineage={
                tag.removeprefix(_LINEAGE): value
                for tag, value in sorted(tags.items())
                if tag.startswith(_LINEAGE)
            },
        )
    )
