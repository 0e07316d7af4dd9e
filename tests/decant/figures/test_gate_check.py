"""One demand, met or missed, and the sentence about it."""

import pytest

from decant.figures.gate_check import Check, above, at_least, at_most, verdict_on


@pytest.mark.parametrize(
    ("check", "passed", "reason"),
    [
        (at_least("accuracy", 0.8, 0.8), True, ""),
        # 0.95 - 1.0 is -0.050000000000000044
        (at_least("difference", 0.95 - 1.0, -0.05), True, ""),
        (at_least("accuracy", 0.79, 0.8), False, "accuracy is 0.79, below the minimum 0.8"),
        (at_least("speedup", None, 2.0), False, "speedup is undefined, below the minimum 2"),
        (at_most("size", 1000, 1000), True, ""),
        (at_most("size", 1001, 1000), False, "size is 1,001, above the maximum 1,000"),
        (at_most("ECE", None, 0.1), False, "ECE is undefined, above the maximum 0.1"),
        (above("accuracy", 0.81, 0.8, whose="X"), True, ""),
        (above("accuracy", 0.8, 0.8, whose="X"), False, "accuracy is 0.8, not above the 0.8 of X"),
    ],
)
def test_a_check_and_its_reason(check: Check, passed: bool, reason: str) -> None:
    assert check.passed is passed
    if not passed:
        assert check.reason == reason


def test_values_are_shown_as_the_caller_writes_them() -> None:
    check = at_least("retention", 0.931, 0.95, show="{:.1%}".format)
    assert (check.measured, check.demanded) == ("93.1%", "at least 95.0%")
    check = at_most("time", 1.2, 1.1, show="{:.2f}".format, measured="1.20 (1.1 to 1.3)")
    assert check.reason == "time is 1.20 (1.1 to 1.3), above the maximum 1.10"


def test_the_verdict_names_what_was_missed_and_nothing_else() -> None:
    verdict = verdict_on([at_least("a", 2, 1), at_least("b", 0, 1), at_most("c", 2, 1)])
    assert not verdict.passed
    assert verdict.reasons == ("b is 0, below the minimum 1", "c is 2, above the maximum 1")
    assert verdict_on([at_least("a", 2, 1)]).passed
    assert verdict_on([]).passed, "a gate that demands nothing"
