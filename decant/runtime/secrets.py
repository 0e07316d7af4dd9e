"""Find secrets in texts. What is shown, what is refused and what is known are read by one function.

Secret are:

- the password of an address, with its user name (`https://me:hunter2@host`); over HTTP also a user
  name alone, which may be a token (`https://TOKEN@host`);
- values with the name of a secret: `?X-Amz-Signature=...`, `DB_PASSWORD=...`, `{"token": "..."}`,
  `<Signature>...</Signature>`;
- HTTP headers of a login: `Authorization`, `Cookie`;
- what has the form of a well-known token, such as the Hugging Face Hub's;
- known values: those of such environment variables, and those given by a caller.

Shown are neither these nor the rest of an address's query and fragment, except a pin (`#sha256=`)
and a page of Kubeflow's or MLflow's (`#/runs/details/...`).
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
QUERY_MASK = "?..."
FRAGMENT_MASK = "#..."

_NAME = re.compile(
    r"(TOKEN|PASSWORD|PASSWD|PASSPHRASE|[_-]PWD|[_-]KEY|(API|ACCESS|ACCOUNT|PRIVATE|SHARED)KEY"
    r"|SIGNATURE|AUTHORIZATION|COOKIE|JWT|CONNECTION_?STRING|[_-](PASS|SAS|PAT))$"
    r"|SECRET|^SIGNATURE|^SIG$|^PASS$|^(AWS)?ACCESSKEYID$",
    re.IGNORECASE,
)
# In the query of an address these have a secret too.
_NAMES_IN_QUERY = frozenset(
    {"key", "auth", "pwd", "credential", "x-amz-credential", "x-goog-credential", "googleaccessid"}
)
# Names are bounded: of a log's line of 100,000 letters each would else be tried as a beginning of
# all that follow.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,99})://(?=(?P<rest>\S*))")
# Before `@` these have a repository or a model, unless there is a password.
_NAMES_BEFORE_AT = frozenset({"dvc", "hf"})
_ONE_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]{0,99}://\S*")
_QUERY_AT_END = re.compile(r"(?<=[^\s?])\?[^\s#]+")
_QUERY_OF_ADDRESS = re.compile(r"(?<=://)(?P<path>[^\s'\"?#]*)\?[^\s'\")\]#]*[^\s'\")\].,:;#]")
_QUERY = re.compile(r"(?<=[^\s?])\?(?=[^\s'\")\]?]*=)[^\s'\")\]#]*[^\s'\")\].,:;#]")
_FRAGMENT = re.compile(
    r"(?<=://)(?P<path>[^\s'\"#]*)\#(?!sha256=(?:[0-9a-fA-F]*|[A-Z_]*)(?![\w=])|/[a-z_]+/)"
    r"[^\s'\")\]]*[^\s'\")\].,:;]"
)
_ASSIGNED = re.compile(r"(?P<name>[\w-]{1,100})=(?P<quote>['\"]?)(?P<value>[^\s&;,'\")\]]+)")
_QUOTED = re.compile(
    r"(?P<name>(?P<one>['\"])[\w-]+(?P=one)\s*:\s*)(?P<quote>['\"])(?P<value>.+?)(?P=quote)"
)
_ELEMENT = re.compile(r"<(?P<name>[A-Za-z]{1,50})>(?P<value>[^<]+)(?=</(?P=name)>)")
_LINE = re.compile(r"^[ \t-]*(?P<name>[\w-]{1,100}):[ \t]+(?P<value>\S+)[ \t]*$", re.MULTILINE)
_LOGIN = re.compile(
    r"(?P<name>\b(?:Proxy-)?Authorization:\s*(?:(?:Basic|Bearer|Digest|Token)\s+)?)(?P<value>[^\s'\"]+)"
    r"|(?P<cookie>\b(?:Set-)?Cookie:\s*)(?P<cookies>[^\r\n'\"]+)"
    r"|(?P<other>\bX-(?:[A-Za-z]+-)*(?:Key|Token):\s*)(?P<others>[^\s'\"]+)",
    re.IGNORECASE,
)
_WELL_KNOWN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|sk-[A-Za-z0-9]{32,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
)
# Shorter values would be found in unrelated words.
_SHORTEST = 4
_SHORTEST_REFUSED = 16  # a parameter is refused for it: no word of a language is so long by chance
_SWITCHES = frozenset({"true", "false", "none", "null"})  # HF_HUB_DISABLE_IMPLICIT_TOKEN=true


class _Reading(NamedTuple):
    """A text as it may be shown, and the secrets that were cut out of it."""

    shown: str
    secrets: list[str]


def looks_secret(name: str) -> bool:
    """Whether a key, variable or parameter of this name has a secret: HF_TOKEN, API_KEY, sig."""
    return _NAME.search(name) is not None


def holds_secret(text: str) -> bool:
    """Whether an address, or any other text, shows a secret to a reader."""
    if _read(text).secrets:
        return True
    known = (value for value in _values_of_the_environment() if len(value) >= _SHORTEST_REFUSED)
    return any(spelling in text for value in known for spelling in _spellings(value))


def shown_uri(uri: str) -> str:
    """The address without user name, password, query and fragment: to show and to compare."""
    if "://" not in uri:
        return uri
    return re.split(r"[?#]", _read_users(uri).shown, maxsplit=1)[0]


def kept_uri(uri: str) -> str:
    """The address as it may be written down: as it is, unless it has a secret.

    Parameters with one are refused; cards of earlier versions have some.
    """
    return without_secrets(uri) if holds_secret(uri) else uri


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """A message as it may be shown: addresses without users, `?...` for queries, else `***`.

    Args:
        known: secrets that are removed everywhere, also URL-encoded ones.
    """
    for secret in sorted({*known}, key=len, reverse=True):
        for spelling in _spellings(secret):
            text = text.replace(spelling, MASK)
    text = _read_users(text).shown
    for secret in sorted(_values_of_the_environment(), key=len, reverse=True):
        for spelling in _spellings(secret):
            if spelling in text:
                word = rf"(?<![A-Za-z0-9]){re.escape(spelling)}(?![A-Za-z0-9])"
                text = re.sub(word, MASK, text)
    return _read(text).shown


def _read(text: str) -> _Reading:
    """What decides: every rule in turn, on what the rules before it left."""
    text, secrets = _read_users(text)
    cut = _Cuts(secrets)
    if _ONE_ADDRESS.fullmatch(text):  # quotes and brackets do not end it
        text = _QUERY_AT_END.sub(cut.query, text, count=1)
    for pattern, rule in (
        (_QUERY_OF_ADDRESS, cut.query),
        (_QUERY, cut.query),
        (_FRAGMENT, cut.fragment),
        (_LOGIN, cut.login),
        (_ASSIGNED, cut.named),
        (_QUOTED, cut.named),
        (_ELEMENT, cut.named),
        (_LINE, cut.named),
        (_WELL_KNOWN, cut.token),
    ):
        text = pattern.sub(rule, text)
    return _Reading(text, secrets)


class _Cuts:
    """What is shown in place of a match; the secrets in it are kept."""

    def __init__(self, secrets: list[str]) -> None:
        self.secrets = secrets

    def query(self, found: re.Match[str]) -> str:
        for name, value in re.findall(r"([^&=]+)=([^&]*)", found[0].partition("?")[2]):
            if looks_secret(unquote(name)) or unquote(name).lower() in _NAMES_IN_QUERY:
                self.secrets.append(value)
        return found.groupdict().get("path", "") + QUERY_MASK

    def fragment(self, found: re.Match[str]) -> str:
        for named in _ASSIGNED.finditer(found[0].partition("#")[2]):
            if looks_secret(named["name"]):
                self.secrets.append(named["value"])
        return found["path"] + FRAGMENT_MASK

    def named(self, found: re.Match[str]) -> str:
        if not looks_secret(found["name"].strip(" :'\"\t")) or found["value"] == MASK:
            return found[0]
        self.secrets.append(found["value"])
        start, end = (place - found.start() for place in found.span("value"))
        return found[0][:start] + MASK + found[0][end:]

    def login(self, found: re.Match[str]) -> str:
        if (value := found[2] or found[4] or found[6]) != MASK:
            self.secrets.append(value)
        return str(found[1] or found[3] or found[5]) + MASK

    def token(self, found: re.Match[str]) -> str:
        self.secrets.append(found[0])
        return MASK


def _read_users(text: str) -> _Reading:
    secrets = []
    for scheme, info, start in reversed(list(_user_infos(text))):
        if ":" in info or scheme in ("http", "https"):
            secrets.append(info)
        text = text[:start] + text[start + len(info) + 1 :]
    return _Reading(text, secrets)


def _user_infos(text: str) -> Iterator[tuple[str, str, int]]:
    """Scheme, `user:password` or `user`, and where that begins, of every address that has one."""
    end = 0
    for found in _SCHEME.finditer(text):
        if found.end() < end:
            continue
        scheme = found["scheme"].lower().rpartition("+")[2]
        rest = re.split(r"[,;'\"(]+[A-Za-z][A-Za-z0-9+.-]*://", found["rest"], maxsplit=1)[0]
        has_revision = scheme in _NAMES_BEFORE_AT or text[: found.start()].endswith("dvc://")
        before_revision = rest.rpartition("@")[0] if has_revision else ""
        info = _user_info(scheme, before_revision if "@" in before_revision else rest)
        if info:
            end = found.end() + len(info)
            yield scheme, info, found.end()


def _user_info(scheme: str, rest: str) -> str:
    """The part before the last `@` of the authority; passwords with `@` in them are common.

    With a password it is what stands before the last `@` of all: slashes are common too, and
    rather a host is cut out than a part of a password shown.
    """
    unquoted = re.split(r"['\"]", rest, maxsplit=1)[0]
    authority = re.split(r"[/?#]", unquoted, maxsplit=1)[0]
    info, at, _ = authority.rpartition("@")
    if at and ":" not in info:
        return "" if scheme in _NAMES_BEFORE_AT else info
    if at:
        return unquoted.rpartition("@")[0]
    name, colon, after = authority.partition(":")
    is_port = after.isdecimal() and int(after[:6]) < 1 << 16
    is_host = not colon or not after or is_port or name.startswith("[")
    if is_host or scheme in _NAMES_BEFORE_AT:
        return ""
    return (unquoted if "@" in unquoted else rest).rpartition("@")[0]


def _spellings(secret: str) -> set[str]:
    spelled = {secret, quote(secret), quote_plus(secret), quote(secret, safe="")}
    return {spelling for spelling in spelled if spelling}


def _values_of_the_environment() -> set[str]:
    """Of variables that look secret, and what is secret in others, such as MLFLOW_TRACKING_URI."""
    values = set()
    for name, value in os.environ.items():
        if looks_secret(name):
            values.add(value.strip())
        elif "=" in value or ":" in value:
            for secret in _read(value).secrets:
                values |= _forms(secret)
    return {value for value in values if len(value) >= _SHORTEST and value.lower() not in _SWITCHES}


def _forms(secret: str) -> set[str]:
    """A secret of an address or a header as programs show it: whole, in parts, decoded, encoded."""
    whole = {secret, unquote(secret)}
    parts = {one.partition(":")[2] for one in whole} | {secret.rpartition(" ")[2]}
    encoded = {b64encode(one.encode()).decode() for one in whole if ":" in one}
    return whole | parts | encoded
