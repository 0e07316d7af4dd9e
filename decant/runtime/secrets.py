"""Find secrets in texts, and mask them. Masking and refusing use the same rules.

Secret are:

- the password of an address, with its user name (`https://me:hunter2@host`); over HTTP also a user
  name alone, which may be a token (`https://TOKEN@host`);
- values with the name of a secret: `?X-Amz-Signature=...`, `DB_PASSWORD=...`, `{"token": "..."}`;
- HTTP headers of a login: `Authorization`, `Cookie`;
- known values: those of such environment variables, and those given by a caller.

Shown are neither these nor the rest of an address's query.
"""

import os
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
QUERY_MASK = "?..."

_NAME = re.compile(
    r"(TOKEN|PASSWORD|PASSWD|PASSPHRASE|[_-]PWD|[_-]KEY|(API|ACCESS|ACCOUNT|PRIVATE)KEY"
    r"|SIGNATURE|AUTHORIZATION|COOKIE)$|SECRET|^SIG$",
    re.IGNORECASE,
)
# Names are bounded: of a log's line of 100,000 letters each would else be tried as a beginning of
# all that follow.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,99})://(?=(?P<rest>[^\s'\"]*))")
# Before `@` these have a repository or a model, unless there is a password.
_NAMES_BEFORE_AT = frozenset({"dvc", "hf"})
_QUERY_OF_ADDRESS = re.compile(r"(?<=://)(?P<path>[^\s'\"?]*)\?[^\s'\")\]]*[^\s'\")\].,:;]")
_QUERY = re.compile(r"(?<=[^\s?])\?(?=[^\s'\")\]?]*=)[^\s'\")\]]*[^\s'\")\].,:;]")
_ASSIGNED = re.compile(r"(?P<name>[\w-]{1,100})=(?P<quote>['\"]?)(?P<value>[^\s&;,'\")\]]+)")
_QUOTED = re.compile(
    r"(?P<name>(?P<one>['\"])[\w-]+(?P=one)\s*:\s*)(?P<quote>['\"])(?P<value>.+?)(?P=quote)"
)
_LOGIN = re.compile(
    r"(?P<name>\b(?:Proxy-)?Authorization:\s*(?:(?:Basic|Bearer|Digest|Token)\s+)?)(?P<value>[^\s'\"]+)"
    r"|(?P<cookie>\b(?:Set-)?Cookie:\s*)(?P<cookies>[^\r\n'\"]+)"
    r"|(?P<other>\bX-(?:[A-Za-z]+-)*(?:Key|Token):\s*)(?P<others>[^\s'\"]+)",
    re.IGNORECASE,
)
# Shorter values would be found in unrelated words.
_SHORTEST = 4
_SWITCHES = frozenset({"true", "false", "none", "null"})  # HF_HUB_DISABLE_IMPLICIT_TOKEN=true


def looks_secret(name: str) -> bool:
    """Whether a key, variable or parameter of this name has a secret: HF_TOKEN, API_KEY, sig."""
    return _NAME.search(name) is not None


def holds_password(address: str) -> bool:
    """Whether an address has a password, or a user name that may be a token."""
    return any(_is_secret(scheme, info) for scheme, info, _ in _user_infos(address))


def holds_secret(text: str) -> bool:
    """Whether an address, or any other text, shows a secret to a reader."""
    return (
        holds_password(text)
        or any(looks_secret(found["name"]) for found in _ASSIGNED.finditer(text))
        or any(looks_secret(_bare(found["name"])) for found in _QUOTED.finditer(text))
        or _LOGIN.search(text) is not None
    )


def shown_uri(uri: str) -> str:
    """The address without user name, password and query: for messages and comparisons."""
    return _without_users(uri).partition("?")[0] if "://" in uri else uri


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """A message as it may be shown: addresses without users, `?...` for queries, else `***`.

    Args:
        known: secrets that are removed everywhere, also URL-encoded ones.
    """
    for secret in sorted({*known}, key=len, reverse=True):
        for spelling in _spellings(secret):
            text = text.replace(spelling, MASK)
    text = _without_users(text)
    for secret in sorted(_values_of_the_environment(), key=len, reverse=True):
        for spelling in _spellings(secret):
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(spelling)}(?![A-Za-z0-9])", MASK, text)
    text = _QUERY_OF_ADDRESS.sub(rf"\g<path>{QUERY_MASK}", text)
    text = _QUERY.sub(QUERY_MASK, text)
    text = _LOGIN.sub(lambda found: (found[1] or found[3] or found[5]) + MASK, text)
    text = _ASSIGNED.sub(_masked_assignment, text)
    return _QUOTED.sub(_masked_quotation, text)


def _without_users(text: str) -> str:
    for _, info, start in reversed(list(_user_infos(text))):
        text = text[:start] + text[start + len(info) + 1 :]
    return text


def _user_infos(text: str) -> Iterator[tuple[str, str, int]]:
    """Scheme, `user:password` or `user`, and where that begins, of every address that has one."""
    end = 0
    for found in _SCHEME.finditer(text):
        scheme = found["scheme"].lower().rpartition("+")[2]
        info = _user_info(scheme, found["rest"]) if found.end() >= end else ""
        if info:
            end = found.end() + len(info)
            yield scheme, info, found.end()


def _user_info(scheme: str, rest: str) -> str:
    """The part before the last `@` of the authority; passwords with `@` in them are common."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    info, at, _ = authority.rpartition("@")
    if at:
        return info if ":" in info or scheme not in _NAMES_BEFORE_AT else ""
    name, colon, after = authority.partition(":")
    is_host = not colon or after.isdecimal() or not after or name.startswith("[")
    if is_host or scheme in _NAMES_BEFORE_AT:
        return ""
    info, at, _ = rest.partition("@")  # a password in which a slash is not encoded
    return info if at else ""


def _is_secret(scheme: str, info: str) -> bool:
    return ":" in info or scheme in ("http", "https")


def _spellings(secret: str) -> set[str]:
    return {spelling for spelling in (secret, quote(secret), quote_plus(secret)) if spelling}


def _values_of_the_environment() -> set[str]:
    """Of variables that look secret, and the passwords in addresses such as MLFLOW_TRACKING_URI."""
    values = set()
    for name, value in os.environ.items():
        if looks_secret(name):
            values.add(value.strip())
        for scheme, info, _ in _user_infos(value):
            if _is_secret(scheme, info):
                values |= {info, info.partition(":")[2]}
    return {value for value in values if len(value) >= _SHORTEST and value.lower() not in _SWITCHES}


def _masked_assignment(found: re.Match[str]) -> str:
    return f"{found['name']}={found['quote']}{MASK}" if looks_secret(found["name"]) else found[0]


def _masked_quotation(found: re.Match[str]) -> str:
    if not looks_secret(_bare(found["name"])):
        return found[0]
    return f"{found['name']}{found['quote']}{MASK}{found['quote']}"


def _bare(name: str) -> str:
    return name.strip(" :'\"\t")
