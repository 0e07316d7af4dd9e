"""Where the pods find each source of ingest.

A source that stands on this machine alone is named by the place to which it is sent:

    s3://..., gs://...    as it is
    an absolute path      below a claim that the profile mounts: the claim's, not looked for here
    any other path        in the staging place, a folder or bucket that both sides reach, by sha256;
                          without one in the project's DVC remote, as dvc://REPO@COMMIT/PATH

Nothing is sent here: the package is compiled first, so that a mistake elsewhere costs no upload.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from decant import sources
from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets
from decant.sources.dvc import address_of
from decant.sources.local import path_and_pin
from pipelines.profiles.profile import Profile
from pipelines.profiles.profile_settings import Volume
from pipelines.staging.dvc_remote import NotInDvc, in_dvc, in_dvc_at
from pipelines.staging.staging_place import StagingPlace

STEP = "ingest"
_ENCODERS = ("encoder", "more_encoders")
_REMEDY = (
    "give --staging s3://BUCKET/FOLDER, or set `staging:` in the profile (also a folder on a claim "
    "that it mounts), to which it is sent once; or name a URI that the pods read"
)


class Delivery(Protocol):
    """What has to be sent before a run may start."""

    @property
    def uri(self) -> str:
        """By which the pods read it."""
        ...

    @property
    def what(self) -> str:
        """What it is here, for the log."""
        ...

    def is_there(self) -> bool:
        """Whether all of it was sent before. Raises UserError."""
        ...

    def send(self) -> bool:
        """Send what is not there yet; whether anything was. Raises UserError."""
        ...


@dataclass(kw_only=True)
class Placed:
    """The parameters of ingest for the cluster.

    Attributes:
        params: with URIs that the pods read.
        pins: of each source, by its role; one on a claim has none unless its URI says it.
        deliveries: by parameter.
        on_claims: by parameter, what is read from which claim.
        unpinned: whether the content of a source may change under its name, so that Kubeflow's
            cache must not answer for ingest.
    """

    params: Any
    pins: dict[str, str] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    on_claims: dict[str, str] = field(default_factory=dict)
    unpinned: bool = False


def place_sources(params: Any, profile: Profile | None, staging: str | None) -> Placed:
    """The parameters of ingest for the cluster, and what has to be sent for them.

    Args:
        staging: where to send what stands here alone; else the profile's.

    Raises UserError for a source that is missing, one that no pod would find, and a staging place
    that the pods do not reach.
    """
    volumes = profile.steps[STEP].volumes if profile else {}
    given = staging or (profile.staging if profile else None)
    finder = _Finder(volumes, given, profile)
    placed, mounts = Placed(params=params), {False: set[str](), True: set[str]()}
    changes: dict[str, Any] = {}
    for role, name, uri in _sources_of(params):
        found = finder.find(name, uri)
        changes.setdefault(name, []).append(found.uri)
        if found.pin:
            placed.pins[role] = found.pin
        if found.delivery:
            placed.deliveries[f"{STEP}.{role}"] = found.delivery
        if found.claim:
            placed.on_claims[f"{STEP}.{role}"] = f"{found.uri} on the claim {found.claim}"
            if not found.pin:
                placed.unpinned = True
            if sources.is_local(found.uri):
                mounts[name in _ENCODERS].add(volumes[found.claim].path)
    lists = {name for name in changes if isinstance(getattr(params, name), list)}
    changed = {name: uris if name in lists else uris[0] for name, uris in changes.items()}
    for watched, of_encoders in (("local_corpus", False), ("local_encoder", True)):
        if mounts[of_encoders]:  # on the cluster no DVC watches; ingest reads below it alone
            changed[watched] = os.path.commonpath(sorted(mounts[of_encoders]))
    placed.params = dataclasses.replace(params, **changed)
    return placed


@dataclass(frozen=True, kw_only=True)
class _Found:
    uri: str
    pin: str = ""
    delivery: Delivery | None = None
    claim: str = ""


@dataclass
class _Finder:
    """Finds each source by the same rules."""

    volumes: Mapping[str, Volume]
    staging: str | None
    profile: Profile | None

    @cached_property
    def place(self) -> StagingPlace:
        """Opened when something has to be sent."""
        return StagingPlace(self.staging or "", [one.path for one in self.volumes.values()])

    def find(self, name: str, uri: str) -> _Found:
        """Raises UserError naming the parameter."""
        scheme, separator, rest = uri.partition("://")
        if separator and scheme.lower() == "local":  # fsspec's other name of it
            uri = f"file://{rest}"
        elif separator and scheme.lower() != "file":
            return self._remote(name, uri)
        path, expected = path_and_pin(uri)
        if claim := self._claim(path):
            return _Found(uri=uri, pin=f"sha256:{expected}" if expected else "", claim=claim)
        self._refuse_missing(name, path)
        sources.fetch(uri)  # what it is pinned to
        if self.staging:
            copy = self.place.copy_of(path)
            return _Found(uri=copy.uri, pin=f"sha256:{copy.digest}", delivery=copy)
        try:
            pushed = in_dvc(path, self._reaches)
        except NotInDvc as why:
            raise _local_only(f"{STEP}.{name}: '{path}'", why) from None
        return _Found(uri=pushed.uri, pin=sources.pin(pushed.uri), delivery=pushed)

    def _remote(self, name: str, uri: str) -> _Found:
        address = address_of(uri) if uri.lower().startswith("dvc://") else None
        if address and (claim := self._claim(Path(address.repo))):
            return _Found(uri=uri, claim=claim)
        if address and address.is_local:
            try:
                pushed = in_dvc_at(address, self._reaches)
            except NotInDvc as why:
                raise _local_only(f"{STEP}.{name}: {without_secrets(uri)}", why) from None
            return _Found(uri=pushed.uri, pin=sources.pin(pushed.uri), delivery=pushed)
        return _Found(uri=uri, pin=sources.pin(uri))

    def _claim(self, path: Path) -> str:
        """The claim below whose mount the path is, by its name alone; the innermost of several."""
        inside = [
            (volume.path, claim)
            for claim, volume in self.volumes.items()
            if path.is_absolute() and _is_below(path, Path(volume.path))
        ]
        return max(inside, key=lambda one: len(one[0]))[1] if inside else ""

    def _reaches(self, path: Path) -> bool:
        return bool(self._claim(path))

    def _refuse_missing(self, name: str, path: Path) -> None:
        """Raises UserError; a path that is not here may have been meant for a claim."""
        try:
            if path.exists() or not path.is_absolute():
                return  # `fetch` has a message for a relative one
        except OSError:
            return
        steps = self.profile.steps.items() if self.profile else ()
        elsewhere = [
            f"steps.{step} alone mounts the claim {claim} there"
            for step, settings in steps
            for claim, volume in settings.volumes.items()
            if _is_below(path, Path(volume.path))
        ]
        mounted = [f"{volume.path} ({claim})" for claim, volume in self.volumes.items()]
        raise UserError(
            f"{STEP}.{name}: there is nothing at '{path}' on this machine, and the profile mounts "
            f"no claim there for {STEP}{f' ({elsewhere[0]})' if elsewhere else ''}; "
            f"mounted: {', '.join(mounted) or 'none'}",
            code="file-missing",
            hint=f"correct the path, or mount its claim: `steps: {{{STEP}: {{volumes: {{CLAIM: "
            f"{{path: {path.parent}}}}}}}}}` in the profile",
        )


def _sources_of(params: Any) -> Iterator[tuple[str, str, str]]:
    """Role (as in `pins` of ingest), parameter, and URI of every source."""
    for name in ("source", "validation", "test"):
        if (uri := getattr(params, name)) is not None:
            yield name, name, uri
    for number, uri in enumerate(params.unlabelled, start=1):
        yield f"unlabelled.{number}", "unlabelled", uri
    yield "encoder", "encoder", params.encoder
    for number, uri in enumerate(params.more_encoders, start=1):
        yield f"encoder.{number}", "more_encoders", uri


def _is_below(path: Path, folder: Path) -> bool:
    """Without a look at the disk: `..` climbs by the names alone."""
    return Path(os.path.normpath(path)).is_relative_to(folder)


def _local_only(what: str, why: Exception) -> UserError:
    return UserError(
        f"{what} stands on this machine alone, where no pod reads it ({why})",
        code="source-local",
        hint=_REMEDY,
    )
