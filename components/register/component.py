"""The KFP component of register: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def register(
    onnx: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.Artifact],
    params: str,
    key: str,
    receipt: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Register the student in MLflow when the gate passed."""
    from decant.runner.kfp_task import run_component

    run_component(
        "register",
        params,
        {
            "onnx": onnx.path,
            "evaluation": evaluation.path,
            "report": report.path,
            "receipt": receipt.path,
        },
        metrics,
    )
