"""Cron expressions, intervals and times of a schedule."""

from datetime import UTC, datetime

import pytest

from pipelines.kubeflow.triggers import Trigger, read_cron, read_interval, read_time, read_trigger
from tests.errors import raises


@pytest.mark.parametrize(
    ("text", "six"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        (" 30  3 1,15 * 1-5 ", "0 30 3 1,15 * 1-5"),
        ("*/15 0-6/2 ? JAN-mar SUN", "0 */15 0-6/2 ? JAN-mar SUN"),
        ("10 0 9 ? * 2-6", "10 0 9 ? * 2-6"),
        ("59 59 23 31 12 6", "59 59 23 31 12 6"),
        ("0 3 * * */7", "0 0 3 * * */7"),
        ("0 5/15 29 2 *", "0 0 5/15 29 2 *"),
        ("0 3 30 2 1", "0 0 3 30 2 1"),  # Mondays in February
    ],
)
def test_cron(text: str, six: str) -> None:
    assert read_cron(text) == six


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 0 0 0 0", "has 7 fields"),
        ("60 3 * * *", "minutes '60': out of range"),
        ("0 24 * * *", "hours '24': out of range"),
        ("0 3 0 * *", "day of month '0': out of range"),
        ("0 3 * 13 *", "month '13': out of range"),
        ("0 3 * * 7", "day of week '7': 7 is out of range"),
        ("0 3 * mon *", "month 'mon': is not acceptable"),
        ("0 5-3 * * *", "hours '5-3': 5-3 ends before it begins"),
        ("0 */0 * * *", "hours '*/0': step '0' is not acceptable"),
        ("0 *-3 * * *", "hours '*-3': is not acceptable"),
        ("0 3,,4 * * *", "hours '3,,4': is not acceptable"),
        ("0 3 L * *", "day of month 'L': the server does not support L"),
        ("0 3 * * mon#2", "day of week 'mon#2': the server does not support #"),
        ("0 R(1-3) * * *", "hours 'R(1-3)': the server does not support R"),
        ("H 3 * * *", "minutes 'H': the server does not support H"),
        ("0 3 * * 5-7", "day of week '5-7': 7 is out of range"),
        ("0 3 * * fri-mon", "day of week 'fri-mon': fri-mon ends before it begins"),
        ("0 3 30 feb *", "no such day comes: day of month '30', month 'feb'"),
        ("0 -3 * * *", "hours '-3': negative numbers not allowed"),
        ("0 ٣ * * *", "hours '٣'"),
    ],
)
def test_mistakes_in_cron(text: str, problem: str) -> None:
    with raises("option-value", "--cron") as raised:
        read_cron(text)
    assert problem in raised.value.problem
    assert raised.value.hint


def test_seven_gets_a_hint_for_sunday() -> None:
    with raises("option-value", "--cron") as raised:
        read_cron("0 3 * * 7")
    assert raised.value.hint.startswith("0 to 6 or sun to sat")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21600), ("1d", 86400), ("2w", 1209600), ("1h 30M", 5400)],
)
def test_intervals(text: str, seconds: int) -> None:
    assert read_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6 hours", "-6h", "1.5h", "0h", "6h!"])
def test_mistakes_in_intervals(text: str) -> None:
    with raises("option-value", f"--every '{text}'"):
        read_interval(text)


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_time("--start", "2027-01-31T03:00+01:00") == datetime(2027, 1, 31, 2, tzinfo=UTC)
    assert read_time("--start", "2027-01-31T03:00:00Z") == datetime(2027, 1, 31, 3, tzinfo=UTC)
    local = datetime(2027, 1, 31).astimezone()
    assert read_time("--start", "2027-01-31") == local
    for text in ("31.1.2027", "soon", "", "0001-01-01T00:00+14:00"):
        with raises("option-value", f"--end '{text}'"):
            read_time("--end", text)


def test_one_of_cron_and_interval() -> None:
    assert read_trigger(cron="0 3 * * *", every=None, start=None, end=None) == Trigger(
        cron="0 0 3 * * *"
    )
    assert read_trigger(cron=None, every="1h", start=None, end=None) == Trigger(
        interval_seconds=3600
    )
    with raises("option-conflict", "--end 2027-01-01", "--start 2027-01-01"):
        read_trigger(cron=None, every="1h", start="2027-01-01", end="2027-01-01")
