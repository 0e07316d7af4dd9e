"""When a schedule starts its runs: a cron expression or an interval, from a time to a time.

The server reads cron as robfig/cron v1 does: six fields, seconds first, in its own time zone (UTC
unless it is set up otherwise). Five fields, as crontab has them, it would read as seconds to month.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from decant.runtime.errors import UserError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# name, smallest, largest, names from the smallest on
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("seconds", 0, 59, []),
    ("minutes", 0, 59, []),
    ("hours", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?P<begin>[*?]|\w+)(-(?P<end>\w+))?(/(?P<step>\d+))?", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_INTERVAL = re.compile(r"(\d+)([smhdw])", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Exactly one of `cron` (six fields) and `interval_seconds` is set; times are in UTC."""

    cron: str | None = None
    interval_seconds: int | None = None
    start: datetime | None = None
    end: datetime | None = None


def read_cron(text: str) -> str:
    """A cron expression with six fields; five get the second 0.

    Raises UserError that names the field, its value, and what is allowed.
    """
    fields = text.split()
    if len(fields) == len(_FIELDS) - 1:
        fields = ["0", *fields]
    if len(fields) != len(_FIELDS):
        raise UserError(
            f"--cron '{text}' has {len(fields)} fields",
            code="option-value",
            hint="write minutes, hours, day of month, month, day of week, such as '0 3 * * 1-5'; "
            "or six fields, seconds first",
        )
    for value, (name, smallest, largest, names) in zip(fields, _FIELDS, strict=True):
        for part in value.split(","):
            if problem := _problem(part, smallest, largest, names):
                raise UserError(
                    f"--cron '{text}': {name} '{value}': {problem}",
                    code="option-value",
                    hint=f"{smallest} to {largest}"
                    f"{f' or {names[0]} to {names[-1]}' if names else ''}, *, a-b, a,b, */step",
                )
    return " ".join(fields)


def read_interval(text: str) -> int:
    """Seconds of an interval such as 90s, 30m, 6h, 1d or 1h30m. Raises UserError."""
    compact = text.replace(" ", "").lower()
    parts = _INTERVAL.findall(compact)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != compact:
        raise UserError(
            f"--every '{text}' is no interval",
            code="option-value",
            hint="write 30m, 6h, 1d, 1w or 1h30m",
        )
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if seconds < 1:
        raise UserError(
            f"--every '{text}' is no time at all", code="option-value", hint="at least 1s"
        )
    return seconds


def read_time(option: str, text: str) -> datetime:
    """An ISO time in UTC; one without a zone is this machine's. Raises UserError."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} '{text}' is no time",
            code="option-value",
            hint="write 2027-01-31, 2027-01-31T03:00 or 2027-01-31T03:00+01:00",
        ) from None


def read_trigger(
    *, cron: str | None, every: str | None, start: str | None, end: str | None
) -> Trigger:
    """Raises UserError for none or both of cron and every, or an end that is before the start."""
    if bool(cron) == bool(every):
        raise UserError(
            "a schedule needs either --cron or --every",
            code="option-missing",
            hint="--cron '0 3 * * *' for 3 o'clock every day, or --every 6h",
        )
    trigger = Trigger(
        cron=read_cron(cron) if cron else None,
        interval_seconds=read_interval(every) if every else None,
        start=read_time("--start", start) if start else None,
        end=read_time("--end", end) if end else None,
    )
    if trigger.start and trigger.end and trigger.end <= trigger.start:
        raise UserError(f"--end {end} is not after --start {start}", code="option-conflict")
    return trigger


def _problem(part: str, smallest: int, largest: int, names: list[str]) -> str:
    """What is wrong with one part of a field, such as 1-5, */15 or mon; empty when nothing is."""
    found = _PART.fullmatch(part)
    if not found:
        return "is not understood"
    if found["step"] is not None and int(found["step"]) < 1:
        return "steps by nothing"
    if found["begin"] in "*?":
        return "an end without a begin" if found["end"] else ""
    values = []
    for text in filter(None, (found["begin"], found["end"])):
        value = smallest + names.index(text.lower()) if text.lower() in names else -1
        value = int(text) if text.isdecimal() else value
        if not smallest <= value <= largest:
            return f"{text} is out of range"
        values.append(value)
    return "ends before it begins" if values[0] > values[-1] else ""
