"""What Python and libraries print by themselves has no secrets, in a process of its own."""

import subprocess
import sys

import pytest

from decant.runtime.identity import PROJECT

START = """
import logging, warnings
from decant.runtime.ending import exit_on_error
URL = "https://me:hun/hunter2@host/a.csv"
with exit_on_error():
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "    raise RuntimeError(f'no answer of {URL}')",
            "RuntimeError: no answer of https://host",
        ),
        (
            "    try: 1 / 0\n    except Exception as e: raise OSError(URL) from e",
            "OSError: https://",
        ),
        ("    logging.getLogger('lib').warning('GET %s', URL)", "GET https://host/a.csv"),
        ("    logging.basicConfig()\n    logging.error('%(url)s', {'url': URL})", "https://host"),
        (
            "    try: raise OSError(URL)\n    except OSError: logging.exception('failed')",
            "OSError: https://host/a.csv",
        ),
        ("    logging.warning('%s of %s', URL)", "--- Logging error ---"),
        (
            "    import threading\n    threading.Thread(target=open, args=(URL,)).start()",
            "No such file or directory: 'https://host/a.csv'",
        ),
        ("    warnings.warn(f'retrying {URL}')", "UserWarning: retrying https://host/a.csv"),
    ],
    ids=[
        "traceback",
        "cause",
        "log",
        "mapping",
        "logged traceback",
        "bad log",
        "thread",
        "warning",
    ],
)
def test_secrets_are_hidden(code: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told in done.stderr
    assert "hunter2" not in done.stderr
