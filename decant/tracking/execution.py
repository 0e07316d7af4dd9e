"""Which execution of the pipeline this process belongs to."""

import os

from decant.runtime import identity
from decant.runtime.process import dvc_above
from decant.runtime.steps import STEPS


def execution_identity() -> str:
    """An id that only the steps of one execution share: 32 characters, or KFP's run id.

    KFP's run id where there is one, else a digest over the project's place, params.yaml, the
    code, the lock file, the name of the DVC experiment and the `dvc` process above this one.
    """
    if kfp_run := os.environ.get("KFP_RUN_ID"):
        return kfp_run
    project = identity.PROJECT
    params = project / "params.yaml"
    written = [step for step in STEPS if (project / "components" / step / "step.py").is_file()]
    return identity.text_digest(
        identity.canonical_json(
            {
                "project": str(project),
                "params": identity.file_digest(params) if params.is_file() else "",
                "code": [identity.code_digest(step) for step in written],
                "lock": identity.lock_digest(),
                "experiment": os.environ.get("DVC_EXP_NAME", ""),
                "launcher": _dvc_process(),
            }
        )
    )[:32]


def _dvc_process() -> str:
    """The nearest `dvc` above this process: every `dvc repro` is its own execution."""
    dvc = dvc_above()
    return f"{dvc.pid}@{dvc.started}" if dvc else ""
