"""Data and encoders of this machine: where the pods will read them."""

from pipelines.preflight.check_result import Result
from pipelines.staging.place_sources import Delivery


def check_delivery(parameter: str, delivery: Delivery) -> Result:
    """Look into the place, and send nothing. Raises UserError when it cannot be read."""
    state = "is there" if delivery.is_there() else "will be sent, when a run is submitted"
    place = delivery.uri.partition("#")[0]
    return Result(name="data", status="ok", detail=f"{parameter}: {place}: {state}")


def check_on_claim(parameter: str, place: str) -> Result:
    """A claim cannot be looked into from here."""
    detail = f"{parameter}: {place}, into which this machine does not look"
    return Result(name="data", status="skipped", detail=detail)
