"""Where pods find each source: on a claim, in the staging place, or nowhere, which is refused."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from decant import sources
from decant.runtime.identity import content_digest, file_digest
from pipelines.profiles.profile import Profile
from pipelines.staging import staging_place
from pipelines.staging.place_sources import place_sources
from pipelines.staging.sending import send_all
from tests.errors import raises
from tests.pipelines.staging.conftest import ROWS, Sides, ingest_params


def test_the_default_sources_stay_as_they_are() -> None:
    params = ingest_params()
    placed = place_sources(params, None, None)
    assert placed.params == params
    assert set(placed.pins) == {"source", "encoder"}
    assert not (placed.deliveries or placed.on_claims or placed.unpinned)


def test_a_file_and_an_encoder_are_sent_once_and_named_pinned(
    sides: Sides, capsys: pytest.CaptureFixture[str]
) -> None:
    params = ingest_params(source=str(sides.corpus), encoder=str(sides.encoder))
    placed = place_sources(params, sides.profile, sides.staging)
    assert list(sides.shared.iterdir()) == []  # nothing is sent yet
    data, encoder = file_digest(sides.corpus), content_digest(sides.encoder)
    start = (sides.shared / "decant").as_uri()
    assert placed.params.source == f"{start}/{data}/reviews.csv#sha256={data}"
    assert placed.params.encoder == f"{start}/{encoder}/encoder#sha256={encoder}"
    assert placed.pins == {"source": f"sha256:{data}", "encoder": f"sha256:{encoder}"}
    send_all(placed)
    assert "sending" in capsys.readouterr().out
    for uri, ours in ((placed.params.source, sides.corpus), (placed.params.encoder, sides.encoder)):
        assert content_digest(sources.fetch(uri)) == content_digest(ours)
    before = {file: file.stat().st_mtime_ns for file in sides.shared.rglob("*")}
    send_all(place_sources(params, sides.profile, sides.staging))
    assert {file: file.stat().st_mtime_ns for file in sides.shared.rglob("*")} == before
    assert capsys.readouterr().out.count("is there already") == 2


def test_every_parameter_with_a_source_is_placed(sides: Sides) -> None:
    names = ("validation", "test", "more", "second")
    files = {name: sides.corpus.with_name(f"{name}.csv") for name in names}
    for number, file in enumerate(files.values()):
        file.write_bytes(ROWS + f"text {number},1\n".encode())
    params = ingest_params(
        source=str(sides.corpus),
        validation=str(files["validation"]),
        test=str(files["test"]),
        unlabelled=[str(files["more"]), "s3://bucket/a.txt#sha256=" + "a" * 64],
        more_encoders=[str(sides.encoder)],
    )
    placed = place_sources(params, sides.profile, sides.staging)
    assert set(placed.deliveries) == {
        f"ingest.{role}" for role in ("source", "validation", "test", "unlabelled.1", "encoder.1")
    }
    assert placed.params.unlabelled[1] == params.unlabelled[1]
    assert placed.params.encoder == params.encoder
    assert str(sides.corpus.parent) not in json.dumps(
        [placed.params.source, placed.params.unlabelled, placed.params.more_encoders]
    )


def test_the_profile_names_the_place_and_the_option_another(
    sides: Sides, profile_with: Callable[[str], Profile]
) -> None:
    params = ingest_params(source=str(sides.corpus))
    profile = profile_with("staging: memory://team/decant/")
    placed = place_sources(params, profile, None)
    assert placed.params.source.startswith("memory://team/decant/")
    placed = place_sources(params, profile, "memory://mine")
    assert placed.params.source.startswith("memory://mine/")


def test_a_bucket(sides: Sides) -> None:
    """fsspec's store in memory has the interface of one."""
    place = f"memory://{sides.shared.parent.name}/decant"
    params = ingest_params(source=str(sides.corpus), encoder=str(sides.encoder))
    placed = place_sources(params, None, place)
    assert not any(one.is_there() for one in placed.deliveries.values())
    assert [one.send() for one in placed.deliveries.values()] == [True, True]
    assert [one.send() for one in placed.deliveries.values()] == [False, False]
    assert sources.fetch(placed.params.source).read_bytes() == ROWS
    found = sources.fetch(placed.params.encoder)
    assert content_digest(found) == content_digest(sides.encoder)


def test_an_interrupted_upload_is_completed(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fsspec.filesystem("memory")
    params = ingest_params(encoder=str(sides.encoder))
    placed = place_sources(params, None, f"memory://{sides.shared.parent.name}/cut")
    (delivery,) = placed.deliveries.values()
    put, sent = type(store).put_file, []

    def cut(self: Any, file: Any, remote: str, **options: Any) -> None:
        if sent:
            raise KeyboardInterrupt
        sent.append(remote)
        put(self, file, remote, **options)

    monkeypatch.setattr(type(store), "put_file", cut)
    with pytest.raises(KeyboardInterrupt):
        delivery.send()
    assert not delivery.is_there()
    monkeypatch.setattr(
        type(store), "put_file", lambda *a, **o: (sent.append(a[2]), put(*a, **o))[1]
    )
    assert delivery.send() is True
    assert len(sent) == len(set(sent)) == 2  # the first file is not sent again
    assert content_digest(sources.fetch(delivery.uri)) == content_digest(sides.encoder)


def test_an_interrupted_copy_leaves_nothing(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = place_sources(ingest_params(encoder=str(sides.encoder)), sides.profile, sides.staging)
    (delivery,) = placed.deliveries.values()
    copy, made = staging_place.shutil.copyfile, []

    def cut(source: Path, target: Path) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(copy(source, target))

    with monkeypatch.context() as patch:
        patch.setattr(staging_place.shutil, "copyfile", cut)
        with pytest.raises(KeyboardInterrupt):
            delivery.send()
    assert [file for file in sides.shared.rglob("*") if file.is_file()] == []
    assert delivery.send() is True


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_two_at_once(sides: Sides, kind: str) -> None:
    place = sides.staging if kind == "folder" else f"memory://{sides.shared.parent.name}/two"
    params = ingest_params(source=str(sides.corpus), encoder=str(sides.encoder))
    together = threading.Barrier(8)

    def send(_: int) -> str:
        placed = place_sources(params, sides.profile, place)
        together.wait()
        for delivery in placed.deliveries.values():
            delivery.send()
        return placed.params.encoder

    with ThreadPoolExecutor(8) as pool:
        (uri,) = set(pool.map(send, range(8)))
    assert content_digest(sources.fetch(uri)) == content_digest(sides.encoder)
    assert not [one for one in sides.shared.rglob("*") if "partial" in one.name]


def test_a_file_that_changes_afterwards_is_another_one(sides: Sides) -> None:
    params = ingest_params(source=str(sides.corpus))
    first = place_sources(params, sides.profile, sides.staging)
    send_all(first)
    sides.corpus.write_bytes(ROWS + b"one more,1\n")
    second = place_sources(params, sides.profile, sides.staging)
    send_all(second)
    assert second.params.source != first.params.source
    (delivery,) = first.deliveries.values()
    assert delivery.is_there()  # what it was about is there, whatever became of the file here
    assert sources.fetch(first.params.source).read_bytes() == ROWS  # an earlier package still runs


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_file_that_changes_while_it_is_sent(sides: Sides, kind: str) -> None:
    place = sides.staging if kind == "folder" else f"memory://{sides.shared.parent.name}/moving"
    placed = place_sources(ingest_params(source=str(sides.corpus)), sides.profile, place)
    sides.corpus.write_bytes(ROWS.replace(b"good", b"evil"))  # of the same length
    (delivery,) = placed.deliveries.values()
    with raises("source-changed", str(sides.corpus)):
        delivery.send()
    sides.corpus.write_bytes(ROWS)
    assert not delivery.is_there()
    assert delivery.send() is True


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_place_in_which_somebody_changed_it(sides: Sides, kind: str) -> None:
    store = fsspec.filesystem("file" if kind == "folder" else "memory")
    place = sides.staging if kind == "folder" else f"memory://{sides.shared.parent.name}/foreign"
    placed = place_sources(ingest_params(encoder=str(sides.encoder)), sides.profile, place)
    (delivery,) = placed.deliveries.values()
    delivery.send()
    root = f"{place.removeprefix('memory:/')}/{content_digest(sides.encoder)}/encoder"
    store.pipe_file(f"{root}/extra.bin", b"x")
    with raises("staging-failed", "extra.bin", content_digest(sides.encoder)):
        delivery.send()


def test_no_rights(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may do all, so the refusal is given by hand."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    params = ingest_params(source=str(sides.corpus))
    monkeypatch.setattr(staging_place.shutil, "copyfile", refuse)
    (delivery,) = place_sources(params, sides.profile, sides.staging).deliveries.values()
    with raises("staging-failed", str(sides.corpus), "Permission denied", "right to"):
        delivery.send()
    bucket = f"memory://{sides.shared.parent.name}/closed"
    (delivery,) = place_sources(params, None, bucket).deliveries.values()
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "put_file", refuse)
    with raises("staging-failed", bucket, "PermissionError"):
        delivery.send()


def test_what_is_sent_to_a_folder_can_be_read_by_pods(sides: Sides) -> None:
    """Their user is another one."""
    before = os.umask(0o077)
    try:
        send_all(
            place_sources(ingest_params(encoder=str(sides.encoder)), sides.profile, sides.staging)
        )
    finally:
        os.umask(before)
    for one in sides.shared.rglob("*"):
        assert one.stat().st_mode & 0o777 == (0o755 if one.is_dir() else 0o644), one


def test_links_and_empty_folders(sides: Sides, tmp_path: Path) -> None:
    params = ingest_params(encoder=str(sides.encoder))
    (sides.encoder / "linked.bin").symlink_to(sides.corpus)  # a file: its content counts
    placed = place_sources(params, sides.profile, sides.staging)
    send_all(placed)
    assert (sources.fetch(placed.params.encoder) / "linked.bin").read_bytes() == ROWS
    assert not (sources.fetch(placed.params.encoder) / "linked.bin").is_symlink()
    for target in (tmp_path, tmp_path / "nothing"):
        link = sides.encoder / "more"
        link.symlink_to(target)
        with raises("source-link", str(link)):
            place_sources(params, sides.profile, sides.staging)
        link.unlink()
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    with raises("folder-empty", str(tmp_path / "empty")):
        place_sources(ingest_params(source=str(tmp_path / "empty")), sides.profile, sides.staging)


def test_odd_names(sides: Sides) -> None:
    odd = sides.corpus.with_name("my reviews #1 ü?.csv")
    odd.write_bytes(ROWS)
    for place in (sides.staging, f"memory://{sides.shared.parent.name}/odd"):
        placed = place_sources(ingest_params(source=str(odd)), sides.profile, place)
        send_all(placed)
        assert sources.fetch(placed.params.source).read_bytes() == ROWS
        assert placed.params.source.partition("#")[0].endswith("/my_reviews_1_.csv")


def test_without_a_place_it_is_refused(sides: Sides) -> None:
    with raises("source-local", "ingest.source", str(sides.corpus), "--staging", "staging:"):
        place_sources(ingest_params(source=str(sides.corpus)), sides.profile, None)
    with raises("source-local", "ingest.source", str(sides.corpus)):
        place_sources(ingest_params(source=f"local://{sides.corpus}"), None, None)
    with raises("source-local", "ingest.encoder", str(sides.encoder)):
        place_sources(ingest_params(encoder=str(sides.encoder)), None, None)


def test_a_path_on_a_claim_is_not_looked_for_here(profile_with: Callable[[str], Profile]) -> None:
    profile = profile_with("steps: {ingest: {volumes: {team: {path: /data}, more: {path: /enc}}}}")
    params = ingest_params(source="/data/2026/reviews.csv", encoder="/enc/bert")
    placed = place_sources(params, profile, None)
    assert (placed.params.source, placed.params.encoder) == (params.source, params.encoder)
    assert (placed.params.local_corpus, placed.params.local_encoder) == ("/data", "/enc")
    assert placed.pins == {}
    assert placed.unpinned
    assert placed.on_claims["ingest.source"] == "/data/2026/reviews.csv on the claim team"
    pinned = f"file:///data/2026/reviews.csv#sha256={'a' * 64}"
    placed = place_sources(ingest_params(source=pinned), profile, None)
    assert placed.params.source == pinned
    assert placed.pins["source"] == f"sha256:{'a' * 64}"
    assert not placed.unpinned
    repository = ingest_params(source="dvc:///data/repo@v1/reviews.csv")
    placed = place_sources(repository, profile, None)
    assert placed.params == repository
    assert placed.unpinned  # a tag may be moved


def test_a_path_that_is_neither_here_nor_on_a_claim(
    profile_with: Callable[[str], Profile],
) -> None:
    profile = profile_with(
        "steps: {ingest: {volumes: {team: {path: /data}}}, "
        "finetune: {volumes: {new: {path: /new}}}}"
    )
    for path in ("/nowhere/reviews.csv", "/data/../nowhere/reviews.csv", "/database/reviews.csv"):
        with raises("file-missing", path, "/data (team)", "ingest.source"):
            place_sources(ingest_params(source=path), profile, None)
    with raises("file-missing", "steps.finetune", "claim new"):
        place_sources(ingest_params(source="/new/reviews.csv"), profile, None)
    with raises("file-missing", "/nowhere/reviews.csv", "none"):
        place_sources(ingest_params(source="/nowhere/reviews.csv"), None, "memory://x")


@pytest.mark.parametrize(
    ("place", "code", "value"),
    [
        ("/elsewhere/decant", "staging-invalid", "/elsewhere/decant"),
        ("local:///elsewhere/decant", "staging-invalid", "/elsewhere/decant"),
        ("relative/folder", "staging-invalid", "relative/folder"),
        ("https://host/folder", "staging-invalid", "https://host/folder"),
        ("foo://bucket", "staging-invalid", "foo://bucket"),
        ("s3://bucket/a#b", "staging-invalid", "s3://bucket/a#..."),
        ("s3://me:hunter2@bucket/a", "secret-exposed", "s3://bucket/a"),
    ],
)
def test_places_that_are_none(sides: Sides, place: str, code: str, value: str) -> None:
    with raises(code, value) as caught:
        place_sources(ingest_params(source=str(sides.corpus)), sides.profile, place)
    assert "hunter2" not in str(caught.value)


def test_a_claim_that_is_not_mounted_here(
    sides: Sides, profile_with: Callable[[str], Profile], tmp_path: Path
) -> None:
    """A folder made here would be on another disk than the claim's."""
    profile = profile_with(f"all: {{volumes: {{far: {{path: {tmp_path}/far}}}}}}")
    with raises("staging-invalid", f"{tmp_path}/far"):
        place_sources(ingest_params(source=str(sides.corpus)), profile, f"{tmp_path}/far/decant")
    assert not (tmp_path / "far").exists()
