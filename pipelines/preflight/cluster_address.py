"""Addresses that a cluster gives to what runs in it, and that often nobody else can reach."""

import ipaddress
import socket


def is_inside_a_cluster(host: str) -> bool:
    """Whether a host is named as a cluster names its services, or has a private address.

    That is NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local. The second looks like a
    domain: it counts where no name server knows it.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        if host == "localhost":
            return False
        if len(labels) == 1 or labels[2:3] == ["svc"] or labels[-2:] == ["cluster", "local"]:
            return True
        return len(labels) == 2 and not _is_known(host)
    return address.is_private and not address.is_loopback


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
