"""How long a step waits for MLflow in all, whatever is behind it and however it does not answer."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0  # of a step, in all


class Patience:
    """A number of seconds that several waits share.

    Attributes:
        waited: seconds so far.
    """

    def __init__(self) -> None:
        self.waited = 0.0

    def wait_for(self, action: Callable[[], T], most: float, *, bounded: bool = True) -> T:
        """The action's result, or what it raises.

        MLflow's client has a time-out per request, a database and an artifact store have their own.
        So the action runs on a thread, which is left behind when it takes too long: all that it
        does may be done once more.

        Args:
            most: seconds in all, earlier waits included.
            bounded: False runs it here, for a store that answers or fails at once.

        Raises TimeoutError when it takes longer.
        """
        clock = time.perf_counter()
        try:
            return _on_a_thread(action, most - self.waited) if bounded else action()
        finally:
            self.waited += time.perf_counter() - clock


def _on_a_thread(action: Callable[[], T], seconds: float) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="mlflow", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if thread.is_alive():
        raise TimeoutError(f"no answer within {max(0.0, seconds):.0f} s")
    if errors:
        raise errors[0]
    return results[0]
