"""Parts of a source URI, and how to show one without its secrets."""

import re
from urllib.parse import unquote

from decant.runtime.errors import UserError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSWORD = re.compile(r"//[^/@\s]*:[^/@\s]+@")
_USER_INFO = re.compile(r"//[^/@\s]+@")
_QUERY = re.compile(r"\?[^\s'\")\]]+")


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
            f"'{shown(uri)}' ends in '#{fragment}', which is not a pin",
            code="uri-invalid",
            hint="write #sha256= and 64 hexadecimal digits",
        )
    return address, digest.lower()


def path_part(uri: str) -> str:
    """What follows `scheme://`, percent-decoded."""
    return unquote(uri.partition("://")[2])


def shown(uri: str) -> str:
    """The URI, or any text with one in it, without user names, passwords and query strings."""
    return _QUERY.sub("?...", _USER_INFO.sub("//", uri))


def refuse_password(uri: str) -> None:
    """Parameters are written to cards and to MLflow, so no secret may be among them."""
    if _PASSWORD.search(uri):
        raise UserError(
            f"the URI of {shown(uri)} has a password, which would be written to every artifact",
            code="secret-exposed",
            hint="keep credentials in the environment or in the client's own settings file",
        )


def check_sha256(uri: str, expected: str, found: str) -> None:
    """Raises UserError naming both digests when they differ."""
    if expected and expected != found:
        raise UserError(
            f"wrong sha256 of {shown(uri.partition('#')[0])}: expected {expected}, found {found}",
            code="sha256-mismatch",
            hint="this is not the pinned file: check where it comes from, or correct the pin",
        )
