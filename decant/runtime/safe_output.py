"""What Python and libraries print by themselves, without secrets: logs, warnings, tracebacks.

What Decant prints itself goes through `without_secrets` where it is printed.
"""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

from decant.runtime.secrets import without_secrets


def hide_secrets() -> None:
    """From now on, in this process. A second call changes nothing."""
    if sys.excepthook is _show_exception:
        return
    sys.excepthook = _show_exception
    threading.excepthook = _show_exception_of_thread
    logging.setLogRecordFactory(_without(logging.getLogRecordFactory()))
    warnings.formatwarning = _formatted_without(warnings.formatwarning)


def _without(factory: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record(*told: Any, **more: Any) -> logging.LogRecord:
        made = factory(*told, **more)
        try:
            text = made.getMessage()
        except (TypeError, ValueError, KeyError):  # a library's mistake: logging shows all of it
            text, made.args = str(made.msg), (without_secrets(str(made.args)),)
        if (shown := without_secrets(text)) != text:
            made.msg, made.args = shown, None
        if made.exc_info and made.exc_info[0]:
            made.exc_text = without_secrets("".join(traceback.format_exception(*made.exc_info)))
        return made

    return record


def _formatted_without(form: Callable[..., str]) -> Callable[..., str]:
    return lambda *told, **more: without_secrets(form(*told, **more))


def _show_exception(
    kind: type[BaseException], error: BaseException, place: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, place)
        return
    lines = traceback.format_exception(kind, error, place)
    print(without_secrets("".join(lines)), end="", file=sys.stderr, flush=True)


def _show_exception_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is not SystemExit and told.exc_value is not None:
        _show_exception(told.exc_type, told.exc_value, told.exc_traceback)
