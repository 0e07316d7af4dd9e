"""Schedules on the server: KFP's recurring runs."""

from datetime import timedelta
from typing import Any

from pipelines.cluster.connection import Connection, every, named


def find_schedules(connection: Connection, name: str) -> list[Any]:
    """All schedules of this name in the namespace: the server allows several."""
    found = every(
        connection.schedules.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        filter=named(name),
        namespace=connection.namespace,
    )
    return [one for one in found if one.display_name == name]


def when(schedule: Any) -> str:
    """Its cron expression or interval, in words."""
    trigger = schedule.trigger
    if trigger and trigger.cron_schedule:
        return str(trigger.cron_schedule.cron)
    if trigger and trigger.periodic_schedule:
        seconds = int(trigger.periodic_schedule.interval_second or 0)
        return f"every {timedelta(seconds=seconds)}"
    return "never"
