"""A check in a process of its own, whose libraries are large: MLflow's, PyTorch.

It starts at once and loads them while the caller goes on. With its end they are gone, so that
`doctor` stays small and quick.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from functools import partial
from importlib import import_module

from decant.runtime.identity import PROJECT
from pipelines.preflight.check_result import Result, guarded

# pandas, which MLflow imports, imports it where it is: 35 MB that no check needs.
_LEFT_OUT = "pyarrow"


@contextmanager
def own_process(module: str, function: str) -> Iterator[Callable[..., Result]]:
    """A call of the function, with arguments that JSON has, in a process that starts now.

    The module's LIBRARIES are loaded before the call. A process that is not called is killed.
    """
    paths = [str(PROJECT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, module, function],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield partial(_call, process, function)
        finally:
            process.kill()


def _call(process: "subprocess.Popen[str]", function: str, *arguments: object) -> Result:
    out, errors = process.communicate(json.dumps(arguments))
    if process.returncode:
        last = (errors.strip().splitlines() or ["without a message"])[-1]
        raise ChildProcessError(f"{function} ended with code {process.returncode}: {last}")
    return Result(**json.loads(out))


def _main(module: str, function: str) -> None:
    sys.modules[_LEFT_OUT] = None  # type: ignore[assignment]  # so Python refuses to import it
    with redirect_stdout(sys.stderr):  # what libraries print is no result
        checks = import_module(module)
        for library in checks.LIBRARIES:
            import_module(library)
        arguments = json.load(sys.stdin)
        result = guarded(checks.NAME, partial(getattr(checks, function), *arguments))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
