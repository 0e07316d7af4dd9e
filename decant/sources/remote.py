"""Everything else, through fsspec: s3://, gs://, https://, ...; `#sha256=` pins a file or folder.

A source without a pin is downloaded once, and its digest is kept as its pin. The client finds
credentials itself (environment, settings files); they are never part of the URI.
"""

import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest, text_digest
from decant.runtime.retrying import reason, retried
from decant.runtime.secrets import without_secrets
from decant.sources._cache import Entry, cached, content_of
from decant.sources._uri import check_sha256, scheme_of, split_sha256

SCHEMES = ("*",)


def fetch(uri: str) -> Path:
    """The downloaded file, or folder where the store has folders."""
    return content_of(_entry(uri))


def pin(uri: str) -> str:
    """The digest, from the URI where it has one."""
    _, expected = split_sha256(uri)
    return f"sha256:{expected}" if expected else _entry(uri).pin


def _entry(uri: str) -> Entry:
    address, expected = split_sha256(uri)

    def fill(folder: Path) -> str:
        target = folder / (PurePosixPath(urlsplit(address).path).name or "content")
        _download(address, target)
        digest = content_digest(target)
        check_sha256(uri, expected, digest)
        return f"sha256:{digest}"

    return cached("remote", text_digest(uri)[:32], fill)


def _download(address: str, target: Path) -> None:
    """Raises UserError where nothing is found, or the store goes on not answering."""
    import fsspec

    if (scheme := scheme_of(address)) not in fsspec.available_protocols():
        raise UserError(
            f"no source for '{scheme}://' (in '{without_secrets(address)}')",
            code="scheme-unknown",
            hint="use a path, pypi://, hf://, dvc://, or what fsspec supports: s3://, gs://, https://",
        )

    def copy() -> None:
        filesystem, path = fsspec.url_to_fs(address)
        filesystem.invalidate_cache()  # of an attempt that listed nothing
        if scheme not in ("http", "https") and filesystem.isdir(path):
            filesystem.get(path.rstrip("/") + "/", f"{target}/", recursive=True)
        else:
            with filesystem.open(path, "rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)

    try:
        retried(f"fetching {without_secrets(address)}", copy)
    except FileNotFoundError as error:  # of http also what a server that does not answer gives
        why = f" ({reason(error.__cause__)})" if error.__cause__ else ""
        raise UserError(
            f"nothing found at {without_secrets(address)}{why}",
            code="source-missing",
            hint="check the address and the network",
        ) from None
    except Exception as error:  # each store has its own exceptions
        raise UserError(
            f"{without_secrets(address)} cannot be read: {type(error).__name__}: "
            f"{without_secrets(str(error))}",
            code="source-unreachable",
            hint="check the address, the network and the credentials in the environment",
        ) from None
