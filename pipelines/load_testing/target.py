"""Which server is asked, and that it is one that may be burdened."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from components.shared.errors import UserError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where texts go; `is_local` when that is this machine."""

    url: str
    is_local: bool


def find_target(server: str, *, allow_remote: bool) -> Target:
    """The target of a server's address.

    Raises UserError unless it is a plain http(s) address, and one of this machine or
    `allow_remote`. It is of this machine when its host has loopback addresses alone.
    """
    parts = urlsplit(server)
    if parts.username or parts.password:
        raise UserError("the URL holds a user name or password", remedy="leave it out")
    try:
        port = parts.port
    except ValueError as error:
        raise UserError(f"{server} is no URL: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment:
        remedy = "give one like http://127.0.0.1:8080"
        raise UserError(f"{server} is no server's URL", remedy=remedy)
    addresses = _addresses(parts.hostname, port or _DEFAULT_PORTS[parts.scheme])
    is_local = all(ipaddress.ip_address(one).is_loopback for one in addresses)
    if not is_local and not allow_remote:
        raise UserError(
            f"{parts.hostname} ({', '.join(addresses)}) is not this machine",
            remedy="a load test burdens a server: give --allow-remote if that one is yours",
        )
    path = parts.path.rstrip("/").removesuffix("/invocations")
    return Target(url=f"{parts.scheme}://{parts.netloc}{path}/invocations", is_local=is_local)


def require_server(target: Target) -> None:
    """Raises UserError when nothing takes a connection there."""
    parts = urlsplit(target.url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    try:
        socket.create_connection((str(parts.hostname), port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        remedy = "start one, or let --model start it"
        raise UserError(f"no server answers at {target.url}: {error}", remedy=remedy) from None


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(f"the host {host} is not known: {error}") from None
    return sorted({str(address[4][0]).partition("%")[0] for address in found})
