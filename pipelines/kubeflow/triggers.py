"""When a schedule starts its runs: a cron expression or an interval, from a time to a time.

The server reads cron as robfig/cron v1 does: six fields, seconds first, in its own time zone (UTC
unless it is set up otherwise). Five fields, as crontab has them, it would read as seconds to month.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import croniter
from croniter.croniter import CroniterError

from decant.runtime.errors import UserError

# name, what its single values are
_FIELDS = (
    ("seconds", "0 to 59"),
    ("minutes", "0 to 59"),
    ("hours", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12 or jan to dec"),
    ("day of week", "0 to 6 or sun to sat"),
)
_DAY_OF_WEEK = 5
# croniter has last days, n-th weekdays and random times; the server has not.
_UNKNOWN_TO_SERVER = re.compile(r"[#()]|\b[lhr]\b", re.IGNORECASE)
_SEVEN = re.compile(r"(?<![\d/])7\b")  # Sunday to croniter, an error to the server
_RANGE = re.compile(r"(\w+)-(\w+)")
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
    for index, (value, (name, values)) in enumerate(zip(fields, _FIELDS, strict=True)):
        if problem := _problem(index, value):
            raise UserError(
                f"--cron '{text}': {name} '{value}': {problem}",
                code="option-value",
                hint=f"{values}, *, a-b, a,b, */step",
            )
    if fields[_DAY_OF_WEEK] in ("*", "?"):  # else the day of the week alone is enough
        try:
            croniter.expand(" ".join(fields), second_at_beginning=True, strict=True)
        except CroniterError:
            raise UserError(
                f"--cron '{text}': no such day comes: day of month '{fields[3]}', "
                f"month '{fields[4]}'",
                code="option-value",
                hint="February has 29 days at the most; April, June, September, November 30",
            ) from None
    return " ".join(fields)


def read_interval(text: str) -> int:
    """Seconds of an interval such as 90s, 30m, 6h, 1d or 1h30m. Raises UserError."""
    compact = text.replace(" ", "").lower()
    parts = _INTERVAL.findall(compact)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != compact:
        raise UserError(
            f"--every '{text}' is not a valid interval",
            code="option-value",
            hint="write 30m, 6h, 1d, 1w or 1h30m",
        )
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if seconds < 1:
        raise UserError(
            f"--every '{text}' is not longer than 0", code="option-value", hint="at least 1s"
        )
    return seconds


def read_time(option: str, text: str) -> datetime:
    """An ISO time in UTC; one without a zone is this machine's. Raises UserError."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} '{text}' is not a valid time",
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


def _problem(index: int, value: str) -> str:
    """What is wrong with the field at the index of _FIELDS; empty when nothing is."""
    if found := _UNKNOWN_TO_SERVER.search(value):
        return f"the server does not support {found[0]}"
    try:
        _expanded(index, value)
    except CroniterError as error:
        reason = str(error).rpartition("] ")[2].removeprefix("is not acceptable, ")
        return re.sub(r" in field \d", "", reason)
    if index == _DAY_OF_WEEK and _SEVEN.search(value):
        return "7 is out of range"
    for begin, end in _RANGE.findall(value):
        if int(_expanded(index, begin)[0]) > int(_expanded(index, end)[0]):
            return f"{begin}-{end} ends before it begins"
    return ""


def _expanded(index: int, value: str) -> Sequence[int | str]:
    """The values of one field, the others being free. Raises CroniterError."""
    fields = ["*"] * len(_FIELDS)
    fields[index] = value
    # The answer has the seconds last.
    values: Sequence[int | str] = croniter.expand(" ".join(fields), second_at_beginning=True)[0][
        index - 1
    ]
    return values
