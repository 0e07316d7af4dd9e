"""Progress where Argo Workflows reads it: `done/total` in the file that a pod's environment names.

Source: its documentation, "Workflow Progress", self reporting progress. It looks at the file every
few seconds and keeps the figures with the pod's node.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "ARGO_PROGRESS_FILE"
_EVERY_SECONDS = 3.0


class ProgressFile:
    """The file, rewritten every few seconds at most. Without the variable nothing is written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        name = os.environ.get(VARIABLE)
        self._file, self._clock = Path(name) if name else None, clock
        self._due = float("-inf")

    def write(self, done: int, total: int) -> None:
        """Of the work at hand. Its last figures are always written."""
        if self._file is None or total < 1 or (self._clock() < self._due and done < total):
            return
        self._due = self._clock() + _EVERY_SECONDS
        try:
            self._file.write_text(f"{min(max(done, 0), total)}/{total}\n")
        except OSError:
            self._file = None  # a figure for a page is not worth a step
