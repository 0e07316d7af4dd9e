"""A package's arguments for the cluster, and what is sent before a run starts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from decant.runtime.secrets import without_secrets
from pipelines.arguments import pipeline_arguments
from pipelines.profiles.profile import Profile
from pipelines.staging.place_sources import STEP, Placed, place_sources


def cluster_arguments(
    params: Path, overrides: Iterable[str], profile: Profile | None, staging: str | None
) -> tuple[dict[str, str], Placed]:
    """The pipeline's arguments with sources that pods read, and what `send_all` has to send first.

    Raises UserError for a wrong parameter, and as `place_sources` does.
    """
    found: list[Placed] = []

    def place(given: Any) -> tuple[Any, Mapping[str, str]]:
        found.append(place_sources(given, profile, staging))
        return found[0].params, found[0].pins

    arguments = pipeline_arguments(params, overrides, place=place)
    return arguments, found[0]


def send_all(placed: Placed) -> None:
    """Send what is not there yet, with a line each. Raises UserError."""
    for name, delivery in placed.deliveries.items():
        shown = without_secrets(delivery.uri)
        if not delivery.is_there():
            click.echo(f"{name}: sending {delivery.what}")
        done = "sent to" if delivery.send() else "is there already:"
        click.echo(f"{name}: {done} {shown}")
    for name, place in placed.on_claims.items():
        click.echo(f"{name}: read from {place}")
    if placed.unpinned:
        click.echo(
            f"{STEP} is not answered from Kubeflow's cache, since its files may change on the "
            "claim; pin them: file:///PATH#sha256=DIGEST"
        )
