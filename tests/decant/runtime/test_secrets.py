"""Planted secrets of every form: none is shown, and what would show one is refused."""

import os

import pytest

from decant.runtime.secrets import (
    holds_secret,
    kept_uri,
    looks_secret,
    shown_uri,
    without_secrets,
)

# A text with the secret `hunter2`, and the same as it may be shown.
PLANTED = {
    "user and password": (
        "cannot open postgresql://me:hunter2@db:5432/mlflow, sorry",
        "cannot open postgresql://db:5432/mlflow, sorry",
    ),
    "a user name that is a token": ("git+https://hunter2@host/x", "git+https://host/x"),
    "an at sign in a password": ("https://me:hun@hunter2@host/x", "https://host/x"),
    "a slash in a password": ("postgresql://me:hun/hunter2@host/x", "postgresql://host/x"),
    "a colon, an at sign and a slash in a password": (
        "https://me:h:u@n/hunter2@host/x",
        "https://host/x",
    ),
    "digits and a slash in a password": ("https://me:123456/hunter2@host/x", "https://host/x"),
    "a question mark and a hash in a password": ("https://me:h?u#hunter2@host/x", "https://host/x"),
    "a quote in a password": ("https://me:hun'hunter2@host/x", "https://host/x"),
    "no user name": ("https://:hunter2@host/x", "https://host/x"),
    "no revision": ("dvc://https://hunter2@host/repo", "dvc://https://host/repo"),
    "a chain of file systems": ("simplecache::https://me:hunter2@h/x", "simplecache::https://h/x"),
    "an address in an address": (
        "dvc://https://me:hunter2@host/repo@rev/a.csv",
        "dvc://https://host/repo@rev/a.csv",
    ),
    "two addresses": ("http://a:hunter2@b/c, http://hunter2@d/e", "http://b/c, http://d/e"),
    "presigned by S3": (
        "GET https://b.s3.amazonaws.com/a.csv?X-Amz-Credential=k&X-Amz-Signature=hunter2: 403",
        "GET https://b.s3.amazonaws.com/a.csv?...: 403",
    ),
    "presigned by Google": (
        "'https://storage.googleapis.com/b/a.csv?X-Goog-Signature=hunter2'",
        "'https://storage.googleapis.com/b/a.csv?...'",
    ),
    "presigned by Azure": (
        "(https://a.blob.core.windows.net/b/c?sv=2026&sig=hunter2%3D)",
        "(https://a.blob.core.windows.net/b/c?...)",
    ),
    "presigned by S3, version 2": (
        "https://b/c?AWSAccessKeyId=k&Expires=1&Signature=hunter2",
        "https://b/c?...",
    ),
    "presigned by CloudFront": (
        "https://b/c?Policy=p&Signature=hunter2&Key-Pair-Id=k",
        "https://b/c?...",
    ),
    "an encoded name": ("https://b/c?tok%65n=hunter2", "https://b/c?..."),
    "an API key": ("https://b/c?v=1&key=hunter2", "https://b/c?..."),
    "a bracket and a quote in a query": ("https://b/c?sig=hun)hunter2'hunter2", "https://b/c?..."),
    "a fragment": ("https://b/c#access_token=hunter2&expires=1.", "https://b/c#...."),
    "a fragment after a query": ("https://b/c?v=1#token=hunter2", "https://b/c?...#..."),
    "the answer of S3": (
        "<Error><AWSAccessKeyId>hunter2</AWSAccessKeyId><SignatureProvided>hunter2</SignatureProvided>",
        "<Error><AWSAccessKeyId>***</AWSAccessKeyId><SignatureProvided>***</SignatureProvided>",
    ),
    "a line of YAML": ("remote:\n  password: hunter2\n", "remote:\n  password: ***\n"),
    "a token of the hub": ("sent hf_hunter2hunter2hunter2hunter2", "sent ***"),
    "the path of a request": (
        "Max retries exceeded with url: /a.csv?token=hunter2 (Caused by",
        "Max retries exceeded with url: /a.csv?... (Caused by",
    ),
    "a bearer token": (
        "sent Authorization: Bearer hunter2, refused",
        "sent Authorization: Bearer *** refused",
    ),
    "a basic login": ("Proxy-Authorization: Basic hunter2", "Proxy-Authorization: Basic ***"),
    "headers in Python": (
        "{'Authorization': 'Bearer hunter2', 'Accept': '*/*'}",
        "{'Authorization': '***', 'Accept': '*/*'}",
    ),
    "a cookie": ("Set-Cookie: session=hunter2; Path=/\nnext", "Set-Cookie: ***\nnext"),
    "a key in a header": ("x-api-key: hunter2 and more", "x-api-key: *** and more"),
    "JSON": ('{"password": "hunter2", "user": "me"}', '{"password": "***", "user": "me"}'),
    "a connection's settings": (
        "host=db password=hunter2 port=5432",
        "host=db password=*** port=5432",
    ),
    "a storage account": (
        "AccountName=me;AccountKey=hunter2==;Suffix=x",
        "AccountName=me;AccountKey=***;Suffix=x",
    ),
}
HARMLESS = [
    "http://host:8080/a@b",
    "http://[::1]:8080/a@b",
    "hf://bert@main",
    "hf://org/bert@main",
    "dvc://repo@rev/path",
    "dvc://git@github.com:org/repo@rev/path",
    "pypi://pkg==1.0/data/a.csv#sha256=00",
    "pin them: file:///PATH#sha256=DIGEST",
    "two hosts, http://a:80/x,http://b:80/y@z",
    "http://host/pipeline/#/runs/details/4711, http://host/#/experiments/1",
    "found unexpected token: x",
    "token: it cannot be read",
    "models:/name@champion",
    "sqlite:////a/b.db",
    "file:///C:/a@b",
    "registry/decant-steps@sha256:00",
    "what is wrong? epochs=3",
    "the token in MLFLOW_TRACKING_TOKEN is refused",
    "a bearer token is missing",
    "training.epochs=3",
]


@pytest.mark.parametrize(("text", "shown"), PLANTED.values(), ids=PLANTED)
def test_no_planted_secret_is_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("text", [text for text, _ in PLANTED.values()], ids=PLANTED)
def test_what_holds_a_secret_is_refused(text: str) -> None:
    assert holds_secret(text)
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_holds_none_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
    assert not holds_secret(text)


def test_a_query_without_a_secret_is_not_shown_and_not_refused() -> None:
    assert without_secrets("see https://host/a.csv?version=3.") == "see https://host/a.csv?...."
    assert without_secrets("https://host/a.csv?SIGNED") == "https://host/a.csv?..."
    assert not holds_secret("https://host/a.csv?version=3")
    assert without_secrets("https://host/a.csv#SIGNED, sorry") == "https://host/a.csv#..., sorry"
    assert without_secrets("https://host/a.csv#sha256=SIGNED1") == "https://host/a.csv#..."


def test_a_user_name_is_a_token_over_http_only() -> None:
    assert holds_secret("https://me@host/x")
    assert not holds_secret("sftp://me@host/x")
    assert holds_secret("sftp://me:hunter2@host/x")
    assert without_secrets("sftp://me@host/x") == "sftp://host/x"


def test_an_address_to_write_down_stays_whole_unless_it_has_a_secret() -> None:
    assert kept_uri("s3://b/a.csv?versionId=3") == "s3://b/a.csv?versionId=3"
    assert kept_uri("https://b/a.csv?sig=hunter2") == "https://b/a.csv?..."


def test_an_address_to_show_has_no_query() -> None:
    uri = "postgresql://me:p@ss@db:5432/mlflow?password=hidden"
    assert shown_uri(uri) == "postgresql://db:5432/mlflow"
    assert shown_uri("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert shown_uri("http://host/path@x?a=b") == "http://host/path@x"
    assert shown_uri("http://host/path#token") == "http://host/path"
    assert shown_uri("mlruns?") == "mlruns?"


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:p@ss@db:5432/mlflow")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy-token@proxy:3128")
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    monkeypatch.setenv("DB_PASSWORD", "pass+word")
    monkeypatch.setenv("FSSPEC_HTTP", '{"headers": {"Authorization": "Basic bG9naW4="}}')
    assert (
        without_secrets(
            "user 'me' with p@ss, me:p@ss, proxy-token; hf_abc; 'pass+word', pass%2Bword, bG9naW4="
        )
        == "user 'me' with ***, ***, ***; ***; '***', ***, ***"
    )


def test_a_long_secret_of_the_environment_is_refused_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORE_TOKEN", "Zx81-spectrum-4711")
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    assert holds_secret("https://host/Zx81-spectrum-4711/a.csv")
    assert not holds_secret("postgresql://postgres/db")


def test_what_cannot_be_a_secret_is_left_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch, a short value, a part of a word, and the current folder."""
    for name in [*os.environ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "true")
    monkeypatch.setenv("SOME_TOKEN", "abc")
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    monkeypatch.setenv("PWD", "/home/me")
    text = "it is true that abc is in postgresql://db, seen from /home/me"
    assert without_secrets(text) == text


def test_secrets_that_a_caller_names_are_cut_out_everywhere() -> None:
    known = {"a+b/c", "a+b"}
    text = "xa+b/cy a%2Bb/c a%2Bb%2Fc a+b"
    assert without_secrets(text, known) == "x***y *** *** ***"


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "token",
        "DB_PASSWORD",
        "DB_PWD",
        "AWS_SECRET_ACCESS_KEY",
        "API_KEY",
        "apiKey",
        "AccountKey",
        "client_secret_id",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "sig",
        "Authorization",
        "Set-Cookie",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "TOKENIZERS_PARALLELISM",
        "AWS_ACCESS_KEY_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "max_length_tokens",
        "key",
        "PWD",
        "OLDPWD",
        "design",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not looks_secret(name)
