"""Parts of a source URI."""

import re
from urllib.parse import unquote

from decant.runtime.errors import UserError
from decant.runtime.secrets import holds_password, without_secrets

_SHA256 = re.compile(r"[0-9a-f]{64}")


def scheme_of(uri: str) -> str:
    """The scheme in lower case; "file" for a plain path."""
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else "file"


def split_sha256(uri: str) -> tuple[str, str]:
    """The URI without its `#sha256=` fragment, and the digest (empty when there is none)."""
    address, separator, fragment = uri.partition("#")
    if not separator:
        return uri, ""
    name, _, digest = fragment.partition("=")
    if name != "sha256" or not _SHA256.fullmatch(digest.lower()):
        raise UserError(
            f"'{without_secrets(uri)}' ends in '#{fragment}', which is not a pin",
            code="uri-invalid",
            hint="write #sha256= and 64 hexadecimal digits",
        )
    return address, digest.lower()


def path_part(uri: str) -> str:
    """What follows `scheme://`, percent-decoded."""
    return unquote(uri.partition("://")[2])


def refuse_password(uri: str) -> None:
    """Parameters are written to cards and to MLflow, so no secret may be among them."""
    if holds_password(uri):
        raise UserError(
            f"the URI of {without_secrets(uri)} has a password or a token, which would be "
            "written to every artifact",
            code="secret-exposed",
            hint="keep credentials in the environment or in the client's own settings file",
        )


def check_sha256(uri: str, expected: str, found: str) -> None:
    """Raises UserError naming both digests when they differ."""
    if expected and expected != found:
        raise UserError(
            f"wrong sha256 of {without_secrets(uri.partition('#')[0])}: expected {expected}, "
            f"found {found}",
            code="sha256-mismatch",
            hint="this is not the pinned file: check where it comes from, or correct the pin",
        )
