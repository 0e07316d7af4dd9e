"""The steps' image: is its name fixed, and can it be pulled?"""

import re
from dataclasses import dataclass

import requests

from decant.runtime.errors import UserError
from pipelines.kubeflow.cluster_options import is_readable_on_the_way
from pipelines.preflight.check_result import Result

TIMEOUTS_SECONDS = (5, 10)
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class ImageName:
    """`registry` is empty for a name such as decant-steps:0.2.0; `reference` is tag or digest."""

    registry: str
    repository: str
    reference: str


def check_image_is_pinned(image: str) -> Result:
    """Raises UserError for an image that can change under its name."""
    from pipelines.kubeflow.compiling import check_image

    check_image(image)
    if "@sha256:" in image:
        return Result(name="image pinned", status="ok", detail=image)
    return Result(
        name="image pinned",
        status="warning",
        detail=f"{image} has a tag, which can be moved",
        hint="give its digest (...@sha256:...); KFP's cache compares names",
    )


def check_image_is_there(image: str) -> Result:
    """Request the image's manifest from its registry, without credentials."""
    name = read_image_name(image)
    if not name.registry:
        return _skipped(
            f"{image} names no registry: the cluster's nodes must have it",
            "push it to a registry that the cluster reaches and give its full name",
        )
    try:
        answer = _request_manifest(name)
    except requests.RequestException as error:
        return _skipped(f"{name.registry} cannot be reached from here: {type(error).__name__}")
    if answer.status_code == 200:
        digest = answer.headers.get("Docker-Content-Digest", "")
        return Result(name="image there", status="ok", detail=f"{image} {digest}".strip())
    if answer.status_code == 404:
        return Result(
            name="image there",
            status="failed",
            detail=f"{name.registry} has no {name.repository} {name.reference}",
            hint="build and push it: make image, docker push",
        )
    return _skipped(
        f"{name.registry} requires a login (HTTP {answer.status_code})",
        "the cluster needs a pull secret for it",
    )


def read_image_name(image: str) -> ImageName:
    """The parts of an image's name, as Docker reads it."""
    name, _, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if has_registry else ("", name)
    repository, _, tag = path.partition(":")
    if not repository or (digest and not digest.startswith("sha256:")):
        raise UserError(f"'{image}' is not a valid image name", code="image-invalid")
    return ImageName(registry=registry, repository=repository, reference=digest or tag or "latest")


def _request_manifest(name: ImageName) -> requests.Response:
    host = "registry-1.docker.io" if name.registry == "docker.io" else name.registry
    scheme = "https" if is_readable_on_the_way(f"http://{host}") else "http"
    url = f"{scheme}://{host}/v2/{name.repository}/manifests/{name.reference}"
    headers = {"Accept": _MANIFESTS}
    answer = requests.head(url, headers=headers, timeout=TIMEOUTS_SECONDS, allow_redirects=True)
    if answer.status_code == 401 and (token := _anonymous_token(answer)):
        headers["Authorization"] = f"Bearer {token}"
        answer = requests.head(url, headers=headers, timeout=TIMEOUTS_SECONDS, allow_redirects=True)
    return answer


def _anonymous_token(answer: requests.Response) -> str:
    """An anonymous token as in the registry's challenge; empty when it grants none."""
    challenge = answer.headers.get("WWW-Authenticate", "")
    wanted = dict(_CHALLENGE.findall(challenge))
    realm = wanted.pop("realm", "")
    if not challenge.lower().startswith("bearer") or not realm.startswith(("http://", "https://")):
        return ""
    given = requests.get(realm, params=wanted, timeout=TIMEOUTS_SECONDS)
    if given.status_code != 200:
        return ""
    try:
        content = given.json()
    except ValueError:
        return ""
    return str(content.get("token") or content.get("access_token") or "")


def _skipped(detail: str, hint: str = "") -> Result:
    return Result(name="image there", status="skipped", detail=detail, hint=hint)
