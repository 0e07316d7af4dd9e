"""Parts of a source URI."""

import re
from urllib.parse import unquote

from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets

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
            f"'{without_secrets(uri)}' ends in a fragment, after '#', which is not a pin",
            code="uri-invalid",
            hint="write #sha256= and 64 hexadecimal digits, or %23 for a '#' of the name",
        )
    return address, digest.lower()


def path_part(uri: str) -> str:
    """What follows `scheme://`, percent-decoded."""
    return unquote(uri.partition("://")[2])


def check_sha256(uri: str, expected: str, found: str) -> None:
    """Raises UserError naming both digests when they differ."""
    if expected and expected != found:
        raise UserError(
            f"wrong sha256 of {without_secrets(uri.partition('#')[0])}: expected {expected}, "
            f"found {found}",
            code="sha256-mismatch",
            hint="this is not the pinned file: check where it comes from, or correct the pin",
        )
