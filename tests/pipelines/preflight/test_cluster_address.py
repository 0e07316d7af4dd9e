"""Which addresses are a cluster's own."""

import socket

import pytest

from pipelines.preflight.cluster_address import is_inside_a_cluster


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mlflow", True),
        ("mlflow.tracking.svc", True),
        ("mlflow.tracking.svc.cluster.local", True),
        ("mlflow-0.mlflow.tracking.svc.cluster.local.", True),
        ("mlflow.invalid", True),  # a reserved domain, so known to no name server
        ("10.96.0.10", True),
        ("fd00::10", True),
        ("mlflow.example.org", False),
        ("svc.example.org", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("8.8.8.8", False),
    ],
)
def test_names_of_services_and_private_addresses(host: str, expected: bool) -> None:
    assert is_inside_a_cluster(host) is expected


def test_a_domain_that_is_known_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [("address",)])
    assert not is_inside_a_cluster("example.org")
