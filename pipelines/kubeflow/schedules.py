"""Schedules on the server: KFP's recurring runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.kubeflow.connection import Connection, every, named
from pipelines.kubeflow.states import moment


def find_schedules(connection: Connection, name: str) -> list[Any]:
    """All schedules of this name in the namespace: the server allows several."""
    found = every(
        connection.schedules.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        filter=named(name),
        namespace=connection.namespace,
    )
    return [one for one in found if one.display_name == name]


def schedule_state(schedule: Any) -> str:
    """ENABLED, DISABLED, or ENDED when its end has passed."""
    state = str(schedule.status or "STATUS_UNSPECIFIED")
    trigger = schedule.trigger
    times = trigger and (trigger.cron_schedule or trigger.periodic_schedule)
    end = moment(times.end_time) if times else None
    return "ENDED" if state == "ENABLED" and end and end < datetime.now(UTC) else state


def when(schedule: Any) -> str:
    """Its cron expression or interval, in words."""
    trigger = schedule.trigger
    if trigger and trigger.cron_schedule:
        return str(trigger.cron_schedule.cron)
    if trigger and trigger.periodic_schedule:
        seconds = int(trigger.periodic_schedule.interval_second or 0)
        return f"every {timedelta(seconds=seconds)}"
    return "never"
