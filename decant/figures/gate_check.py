"""One check of a gate: before registering, and before an alias moves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from decant.figures.evaluation_figures import Verdict
from decant.figures.figure_text import UNDEFINED, one_line, plain

# Of figures that are quotients: 0.95 - 1.0 is a little less than -0.05.
_ROUNDING = 1e-9
_NAMED_CLASSES = 5

Show = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The measured value, the threshold, and whether it is met.

    Attributes:
        name: of the figure.
        measured, demanded: as they are shown, such as `93.1 %` and `at least 95.0 %`.
        shortfall: what is wrong where the check did not pass, such as `below the minimum 95.0 %`.
    """

    name: str
    measured: str
    demanded: str
    shortfall: str
    passed: bool

    @property
    def reason(self) -> str:
        """Why it did not pass, as a sentence without its full stop."""
        return f"{self.name} is {self.measured}, {self.shortfall}"


def at_least(
    name: str, value: float | None, minimum: float, *, show: Show = plain, measured: str = ""
) -> Check:
    """A figure that must not be lower; an undefined one (None) does not pass.

    Args:
        show: how value and minimum are written.
        measured: what is shown instead of the value, such as with its interval.
    """
    return Check(
        name=name,
        measured=measured or _shown(value, show),
        demanded=f"at least {show(minimum)}",
        shortfall=f"below the minimum {show(minimum)}",
        passed=value is not None and value >= minimum - _ROUNDING,
    )


def at_most(
    name: str, value: float | None, maximum: float, *, show: Show = plain, measured: str = ""
) -> Check:
    """A figure that must not be higher; the arguments are those of `at_least`."""
    return Check(
        name=name,
        measured=measured or _shown(value, show),
        demanded=f"at most {show(maximum)}",
        shortfall=f"above the maximum {show(maximum)}",
        passed=value is not None and value <= maximum + _ROUNDING,
    )


def above(name: str, value: float, other: float, *, whose: str) -> Check:
    """A figure that must be higher than the same one of something else."""
    return Check(
        name=name,
        measured=plain(value),
        demanded=f"above the {plain(other)} of {whose}",
        shortfall=f"not above the {plain(other)} of {whose}",
        passed=value > other,
    )


def no_class_lost(
    lost: Mapping[str, int], from_rows: int | None, *, names: tuple[str, str]
) -> list[Check]:
    """That of no class that another model knows all rows are wrong; no check without `from_rows`.

    Args:
        lost: test rows of these classes.
        from_rows: with fewer rows of a class, chance may explain it: a model with a recall of 26 %
            misses 10 rows with a probability of 5 %.
        names: of the other model and of the judged one.
    """
    if from_rows is None:
        return []
    found = [f"'{one_line(label)}'" for label, rows in lost.items() if rows >= from_rows]
    shown = ", ".join(found[:_NAMED_CLASSES]) + (", ..." if len(found) > _NAMED_CLASSES else "")
    other, judged = names
    return [
        at_most(
            f"number of classes with {from_rows} test rows or more that {other} knows and "
            f"{judged} never has right",
            len(found),
            0,
            measured=f"{len(found)} ({shown})" if found else "",
        )
    ]


def verdict_on(checks: Iterable[Check]) -> Verdict:
    """Passed when every check did, else a reason per check that did not."""
    reasons = tuple(check.reason for check in checks if not check.passed)
    return Verdict(passed=not reasons, reasons=reasons)


def _shown(value: float | None, show: Show) -> str:
    return UNDEFINED if value is None else show(value)
