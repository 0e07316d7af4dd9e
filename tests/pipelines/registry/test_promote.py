"""promote and rollback on a real store, with answers that are known."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from decant.runtime.identity import PROJECT
from decant.tasks.comparison import mcnemar
from decant.tracking.mlflow_store import open_client
from pipelines.commands import rollback
from pipelines.registry import promotion_history as history
from pipelines.registry.promotion_gate import read_gate
from pipelines.registry.promotion_history import promotions_in_effect, read_history
from pipelines.registry.versions import version_with_alias
from tests.damages import flip_a_bit
from tests.errors import raises
from tests.pipelines.registry.conftest import LABELS, TEXTS, Cli, Register
from tests.spooling import Killed, dying_at
from tests.tiny import POSITIVE


def champion() -> str | None:
    return version_with_alias(open_client(), "tiny", "champion")


def decisions() -> list[tuple[str, str | None, str, bool]]:
    entries = read_history(open_client(), "tiny", "champion")
    return [
        (entry.decision.action, entry.decision.before, entry.decision.version, entry.counts)
        for entry in entries
    ]


@pytest.mark.parametrize(("one", "other"), [(0, 0), (5, 0), (0, 6), (3, 9), (40, 25)])
def test_mcnemar_by_counting(one: int, other: int) -> None:
    n = one + other
    tail = sum(math.comb(n, k) for k in range(min(one, other) + 1)) / 2**n
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * tail))


def test_the_first_champion_and_an_equal_one(register: Register, cli: Cli) -> None:
    register()
    first = cli("promote", "--model", "tiny", "--reason", "the first")
    assert first.exit_code == 0
    assert "there is no champion yet" in first.output
    assert champion() == "1"
    again = cli("promote", "--model", "tiny", "--version", "1")
    assert (again.exit_code, again.output) == (0, "version 1 of tiny is champion already\n")

    register(forgets=("it",))  # a word without weight: the same answers
    second = cli("promote", "--model", "tiny")
    assert second.exit_code == 0, second.output
    assert "against champion, version 1; 80 rows, the same test split" in second.output
    assert "+0.00% (+0.00% to +0.00%)" in second.output
    assert champion() == "2"
    repeated = cli("promote", "--model", "tiny")  # does not turn to an older version
    assert (repeated.exit_code, repeated.output) == (0, "version 2 of tiny is champion already\n")
    assert decisions() == [("promote", None, "1", True), ("promote", "1", "2", True)]
    entry = read_history(open_client(), "tiny", "champion")[0]
    assert (entry.decision.who, entry.decision.reason) == ("ada", "the first")
    on_version = json.loads(open_client().get_model_version("tiny", "1").tags["decant.promotion.1"])
    assert on_version["when"] == entry.decision.when
    assert on_version["figures"]["accuracy"] == 1.0


def test_a_version_whose_files_were_damaged_in_the_store_is_refused(
    register: Register, cli: Cli
) -> None:
    register()
    assert cli("promote", "--model", "tiny").exit_code == 0
    register(forgets=("it",))
    source = open_client().get_model_version_download_uri("tiny", "2")
    (graph,) = Path(source.removeprefix("file://")).rglob("model.onnx")
    flip_a_bit(graph)
    refused = cli("promote", "--model", "tiny")
    assert refused.exit_code == 2
    assert "error[model-damaged]" in refused.output and "model.onnx is damaged" in refused.output
    assert champion() == "1"


def test_a_worse_one_is_refused_unless_forced(register: Register, cli: Cli) -> None:
    register()
    cli("promote", "--model", "tiny")
    register(forgets=("lovely", "funny"))  # ten of eighty rows wrong
    refused = cli("promote", "--model", "tiny")
    assert refused.exit_code == 1
    assert "-12.50%" in refused.output
    assert "0 rows right only now, 10 only before" in refused.output
    assert "p = 0.00195" in refused.output  # 2 / 2 ** 10
    assert "not promoted: accuracy, minus the champion's is -12.50%" in refused.output
    assert champion() == "1"
    assert len(decisions()) == 1

    assert "needs a reason" in cli("promote", "--model", "tiny", "--force").output
    dry = cli("promote", "--model", "tiny", "--force", "--reason", "faster", "--dry-run")
    assert (dry.exit_code, champion()) == (0, "1")
    assert "would make version 2 of tiny champion" in dry.output
    assert len(decisions()) == 1
    forced = cli("promote", "--model", "tiny", "--force", "--reason", "faster")
    assert (forced.exit_code, champion()) == (0, "2")
    decision = read_history(open_client(), "tiny", "champion")[-1].decision
    assert decision.forced
    assert decision.reason == "faster"
    assert decision.failed[0].startswith("accuracy, minus the champion's is -12.50%")


def test_a_loss_within_the_tolerance_passes_unless_it_is_to_be_proven(
    register: Register, cli: Cli
) -> None:
    register()
    cli("promote", "--model", "tiny")
    texts = [*TEXTS, *(f"the clever actor {'and ' * copy}" for copy in range(3))]
    labels = [*LABELS, *["positive"] * 3]
    register(texts=texts, labels=labels)
    cli("promote", "--model", "tiny", "--version", "2")
    register(forgets=("clever",), texts=texts, labels=labels)  # 5 + 3 of 83 rows
    tolerant = ("--set", "promotion.max_accuracy_loss=0.2", "--version", "3", "--dry-run")
    worse = cli("promote", "--model", "tiny", *tolerant)
    assert worse.exit_code == 1  # chance does not explain 8 to 0
    assert "McNemar's test is p = 0.00781" in worse.output
    unproven = cli(
        "promote", "--model", "tiny", "--version", "1", "--dry-run",
        "--set", "promotion.must_be_proven=true",
    )  # fmt: skip
    assert unproven.exit_code == 0  # the same answers: the interval is a point


def test_other_test_data_runs_both_again_on_the_candidates(register: Register, cli: Cli) -> None:
    register(forgets=("good",))
    cli("promote", "--model", "tiny", "--force", "--reason", "only one there is")
    texts = ["a good film", "the good story", "a bad plot", "an awful scene"]
    register(texts=texts, labels=["positive", "positive", "negative", "negative"])
    result = cli("promote", "--model", "tiny")
    assert result.exit_code == 0
    assert "4 rows, the test splits differ: both answered again" in result.output
    assert "+50.00%" in result.output
    assert "2 rows right only now, 0 only before" in result.output


def test_retention_and_calibration_are_checked(register: Register, cli: Cli) -> None:
    register(forgets=("lovely", "funny"))  # 70 of 80, of a teacher with 80
    result = cli("promote", "--model", "tiny")
    assert result.exit_code == 1
    assert "of the teacher's accuracy is 87.5%" in result.output
    assert cli("promote", "--model", "tiny", "--set", "promotion.min_retention=0.87",
               "--set", "promotion.max_ece=0.0").exit_code == 1  # fmt: skip
    assert cli("promote", "--model", "tiny", "--set", "promotion.min_retention=null",
               "--set", "promotion.max_ece=null").exit_code == 0  # fmt: skip


def test_a_class_that_only_the_champion_knows_is_no_promotion(register: Register, cli: Cli) -> None:
    """However good the rest: here nothing else is asked for."""
    off = ("max_accuracy_loss", "min_retention", "max_ece", "max_size_ratio")
    thresholds = [part for name in off for part in ("--set", f"promotion.{name}=null")]
    register()
    cli("promote", "--model", "tiny", *thresholds)
    register(forgets=POSITIVE)  # a tie of words is the first class
    refused = cli("promote", "--model", "tiny", *thresholds)
    assert refused.exit_code == 1
    assert "1 ('positive')" in " ".join(refused.output.split())
    for rows, code in ((41, 0), (40, 1)):
        limit = f"promotion.must_answer_class_from_rows={rows}"
        ended = cli("promote", "--model", "tiny", *thresholds, "--set", limit, "--dry-run")
        assert ended.exit_code == code, ended.output


def test_rollback_goes_back_step_by_step(register: Register, cli: Cli) -> None:
    for _ in range(3):
        register()
        cli("promote", "--model", "tiny")
    assert champion() == "3"
    assert (
        "would give champion of tiny from version 3 to 2"
        in cli("rollback", "--model", "tiny", "--reason", "r", "--dry-run").output
    )
    assert cli("rollback", "--model", "tiny", "--reason", "slow").exit_code == 0
    assert champion() == "2"
    cli("rollback", "--model", "tiny", "--reason", "slow too")
    assert champion() == "1"
    nothing = cli("rollback", "--model", "tiny", "--reason", "again")
    assert nothing.exit_code == 2
    assert "has no champion before version 1" in nothing.output
    cli("promote", "--model", "tiny", "--version", "3")
    cli("rollback", "--model", "tiny", "--reason", "and back")
    assert champion() == "1"
    held = promotions_in_effect(read_history(open_client(), "tiny", "champion"))
    assert [entry.decision.version for entry in held] == ["1"]


def test_a_version_that_is_gone_is_reported(register: Register, cli: Cli) -> None:
    for _ in range(2):
        register()
        cli("promote", "--model", "tiny")
    open_client().delete_model_version("tiny", "1")
    gone = cli("rollback", "--model", "tiny", "--reason", "slow")
    assert (gone.exit_code, champion()) == (2, "2")
    assert "error[model-version-unknown]: version 1 of tiny" in gone.output
    assert len(decisions()) == 2  # the history survives the version


def test_an_alias_moved_by_hand_is_reported_and_counts(register: Register, cli: Cli) -> None:
    for _ in range(3):
        register()
    cli("promote", "--model", "tiny", "--version", "1")
    open_client().set_registered_model_alias("tiny", "champion", "2")
    result = cli("promote", "--model", "tiny", "--version", "3")
    assert "by the history champion is version 1, but it was moved by hand to 2" in result.output
    assert "against champion, version 2" in result.output
    assert decisions()[-1] == ("promote", "2", "3", True)


def test_a_crash_before_the_alias_is_fixed_by_the_next_one(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        register()
    cli("promote", "--model", "tiny", "--version", "1")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(history, "settle", crash)
        assert cli("promote", "--model", "tiny", "--version", "2").exit_code != 0
    assert champion() == "1"
    dry = cli("promote", "--model", "tiny", "--version", "2", "--dry-run")
    assert "decision 2 had not moved the alias" in dry.output
    assert champion() == "1"
    mended = cli("promote", "--model", "tiny", "--version", "2")
    assert "done now" in mended.output
    assert "version 2 of tiny is champion already" in mended.output
    assert champion() == "2"


@pytest.mark.slow
def test_a_promotion_or_rollback_that_broke_off_is_run_again(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same words, at whichever call to the store it was killed."""
    for _ in range(3):
        register()
    for version in ("1", "2"):
        cli("promote", "--model", "tiny", "--version", version)
    expected = [("promote", None, "1", True), ("promote", "1", "2", True)]
    steps = (
        ("promote", ("--model", "tiny"), ("promote", "2", "3", True), "3"),
        ("rollback", ("--model", "tiny", "--reason", "slow"), ("rollback", "3", "2", True), "2"),
    )
    broken_off = 0
    for call in range(1, 6):
        for command, words, decision, after in steps:
            with monkeypatch.context() as patch:
                dying_at(call, patch)
                try:
                    cli(command, *words)
                except Killed:
                    broken_off += 1
            if not read_history(open_client(), "tiny", "champion")[-1].done:
                again = cli(command, *words)
                assert again.exit_code == 0, again.output
                assert "had not moved the alias" in again.output or "broken off" in again.output
            expected.append(decision)
            assert champion() == after, (call, command)
            assert decisions() == expected, (call, command)
            assert read_history(open_client(), "tiny", "champion")[-1].done
    assert broken_off == 8, "create_model_version, the alias and two tags, of both commands"


def test_an_answer_that_was_lost_makes_no_second_decision_that_counts(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client then asks again, and the server has noted the decision already."""
    register()
    create = MlflowClient.create_model_version

    def asked_twice(*arguments: Any, **more: Any) -> Any:
        return [create(*arguments, **more) for _ in range(2)][-1]

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", asked_twice)
        assert cli("promote", "--model", "tiny").exit_code == 0
    assert champion() == "1"
    assert decisions() == [("promote", None, "1", True), ("promote", None, "1", False)]
    register()
    assert cli("promote", "--model", "tiny").exit_code == 0
    assert champion() == "2"
    assert cli("rollback", "--model", "tiny", "--reason", "slow").exit_code == 0
    assert champion() == "1"


@pytest.mark.slow
def test_of_two_at_once_one_wins_and_the_other_is_reported(
    register: Register, cli: Cli, tmp_path: Path
) -> None:
    register()
    cli("promote", "--model", "tiny")
    for _ in range(2):
        register()
    program = (
        "import sys, time, pathlib\n"
        "here = pathlib.Path(sys.argv.pop(1))\n"
        "from pipelines.commands import promote\n"
        "from pipelines.__main__ import entry\n"
        "judge = promote._unchanged\n"
        "def meet(*arguments):\n"  # both have read the history before either decides
        "    (here / sys.argv[4]).touch()\n"
        "    while len(list(here.iterdir())) < 2: time.sleep(0.01)\n"
        "    judge(*arguments)\n"
        "promote._unchanged = meet\n"
        "entry()\n"
    )
    for attempt in range(3):
        meeting = tmp_path / f"meeting {attempt}"
        meeting.mkdir()
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(meeting), "promote", "--model", "tiny",
                 f"--version={version}", "--set", "promotion.max_time_ratio=null",
                 "--set", "promotion.latency_texts=10"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
            )
            for version in ("2", "3")
        ]  # fmt: skip
        told = [process.communicate(timeout=120) for process in running]
        codes = sorted(process.returncode for process in running)
        assert codes == [0, 2], told
        loser = next(
            err for (_, err), process in zip(told, running, strict=True) if process.returncode
        )
        winner = "2" if running[0].returncode == 0 else "3"
        assert "nothing was moved: meanwhile" in loser
        assert f"version {winner}" in loser
        assert champion() == winner
        cli("rollback", "--model", "tiny", "--version", "1", "--reason", "again")
        assert champion() == "1"


def test_an_alias_that_is_moved_late_goes_to_the_newest_decision(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one pauses before it moves the alias; the next one finishes that, and decides."""
    for _ in range(3):
        register()
    cli("promote", "--model", "tiny", "--version", "1")
    move = MlflowClient.set_registered_model_alias
    paused: list[str] = []

    def late(client: Any, name: str, alias: str, version: str) -> None:
        if not paused:
            paused.append(version)
            assert cli("promote", "--model", "tiny", "--version", "3").exit_code == 0
        move(client, name, alias, version)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", late)
        assert cli("promote", "--model", "tiny", "--version", "2").exit_code == 0
    assert paused == ["2"]
    assert [version for _, _, version, counts in decisions() if counts] == ["1", "2", "3"]
    assert champion() == "3"


def test_a_decision_that_broke_off_is_given_up_when_its_version_is_gone(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        register()
    cli("promote", "--model", "tiny", "--version", "1")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for gone in ("2", "3"):
        with monkeypatch.context() as patch:
            patch.setattr(history, "settle", crash)
            assert cli("promote", "--model", "tiny", "--version", gone).exit_code != 0
        open_client().delete_model_version("tiny", gone)
        if gone == "2":
            nothing = cli("rollback", "--model", "tiny", "--reason", "slow")
            assert "gave up, since its version is gone, what had broken off" in nothing.output
            assert "has no champion before version 1" in nothing.output
    promoted = cli("promote", "--model", "tiny")
    assert promoted.exit_code == 0, promoted.output
    assert "given up: version 3 is gone" in promoted.output
    assert "moved by hand" not in promoted.output
    assert champion() == "4"
    assert cli("rollback", "--model", "tiny", "--reason", "slow").exit_code == 0
    assert champion() == "1"


def test_rollback_never_goes_forward(register: Register, cli: Cli) -> None:
    """To a version that got the alias by hand, and from there not back to the one it left."""
    for _ in range(4):
        register()
    open_client().set_registered_model_alias("tiny", "champion", "1")
    cli("promote", "--model", "tiny", "--version", "2")
    assert cli("rollback", "--model", "tiny", "--reason", "slow").exit_code == 0
    assert champion() == "1"
    further = cli("rollback", "--model", "tiny", "--reason", "slow too")
    assert (further.exit_code, champion()) == (2, "1")
    assert "has no champion before version 1" in further.output

    open_client().set_registered_model_alias("tiny", "champion", "3")
    cli("promote", "--model", "tiny", "--version", "4")
    expected = ["3", "1"]  # it took the alias from 3, by hand; the history knows 1 before
    for version in expected:
        assert cli("rollback", "--model", "tiny", "--reason", "slow").exit_code == 0
        assert champion() == version
    assert "--reason is empty" in cli("rollback", "--model", "tiny", "--reason", " ").output


def test_a_rollback_does_not_undo_a_promotion_that_it_has_not_seen(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        register()
        cli("promote", "--model", "tiny", "--version", version)
    register()
    seen = rollback.version_with_alias

    def meanwhile(client: Any, name: str, alias: str) -> str | None:
        found = seen(client, name, alias)
        with monkeypatch.context() as inner:
            inner.setattr(rollback, "version_with_alias", seen)
            assert cli("promote", "--model", "tiny", "--version", "3").exit_code == 0
        return found

    with monkeypatch.context() as patch:
        patch.setattr(rollback, "version_with_alias", meanwhile)
        lost = cli("rollback", "--model", "tiny", "--reason", "slow")
    assert lost.exit_code == 2
    assert "nothing was moved: meanwhile ada moved champion to version 3" in lost.output
    assert champion() == "3"


def test_a_reason_may_hold_what_the_terminal_takes_for_markup(
    register: Register, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "[slow] was [/x], see :bug: 7 [/]"
    for _ in range(2):
        register()
    first = cli("promote", "--model", "tiny", "--version", "1", "--reason", reason)
    assert (first.exit_code, reason in first.output) == (0, True)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(history, "settle", crash)
        cli("promote", "--model", "tiny", "--reason", reason)
    assert reason in cli("promote", "--model", "tiny", "--reason", reason).output
    back = cli("rollback", "--model", "tiny", "--reason", reason)
    assert (back.exit_code, reason in back.output) == (0, True)
    assert cli("models", "--model", "tiny").output.count(reason) == 3


@pytest.mark.parametrize("alias", ["latest", "V1", "a b", ""])
def test_an_alias_that_mlflow_refuses_leaves_no_trace(
    register: Register, cli: Cli, alias: str
) -> None:
    register()
    for command in ("promote", "rollback"):
        refused = cli(command, "--model", "tiny", "--to", alias, "--version=1", "--reason=r")
        assert refused.exit_code == 2
        assert "MLFLOW_TRACKING_URI" not in refused.output
        assert f"'{alias}' is" in refused.output
    assert read_history(open_client(), "tiny", alias) == []


def test_a_loss_of_just_the_tolerance_passes(register: Register, cli: Cli) -> None:
    texts, labels = ["a good film", *TEXTS[8:16], *TEXTS[8:16], *TEXTS[8:11]], ["positive"]
    labels += ["negative"] * 19
    for forgets in ((), ("good",)):  # 1 of 20 rows: 0.95 - 1.0 is -0.05000000000000004
        register(forgets=forgets, texts=texts, labels=labels)
    cli("promote", "--model", "tiny", "--version", "1")
    just = ("--set", "promotion.max_accuracy_loss=0.05", "--set", "promotion.min_retention=0.95")
    passed = cli("promote", "--model", "tiny", *just, "--set", "promotion.max_ece=null")
    assert "-5.00%" in passed.output
    assert passed.exit_code == 0, passed.output


@pytest.mark.parametrize("seed", ["seed: null\n", "seed: many\n", "seed: -1\n"])
def test_parameters_without_a_usable_seed_are_reported(tmp_path: Path, seed: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"{seed}promotion: {{}}\n")
    with raises("parameter-value", "'seed'"):
        read_gate(file)


def test_a_small_file_changes_one_threshold(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("promotion: {max_ece: 0.5}\n")
    gate, seed = read_gate(file)
    default, default_seed = read_gate(PROJECT / "params.yaml")
    assert gate == dataclasses.replace(default, max_ece=0.5)
    assert seed == default_seed
