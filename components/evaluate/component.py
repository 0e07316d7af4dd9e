"""The KFP component of evaluate: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def evaluate(
    onnx: dsl.Input[dsl.Model],
    corpus: dsl.Input[dsl.Dataset],
    params: str,
    key: str,
    evaluation: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Quality, latency and size against teacher and controls; the verdict of the gate."""
    from decant.runner.kfp_task import run_component

    run_component(
        "evaluate",
        params,
        {
            "onnx": onnx.path,
            "corpus": corpus.path,
            "evaluation": evaluation.path,
            "report": report.path,
        },
        metrics,
        page=page,
    )
