"""The KFP component of export_onnx: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def export_onnx(
    tokens: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    student: dsl.Input[dsl.Model],
    undistilled: dsl.Input[dsl.Model],
    params: str,
    key: str,
    onnx: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """ONNX folders of teacher, student and control, parity checked."""
    from decant.runner.kfp_task import run_component

    run_component(
        "export_onnx",
        params,
        {
            "tokens": tokens.path,
            "teacher": teacher.path,
            "student": student.path,
            "undistilled": undistilled.path,
            "onnx": onnx.path,
        },
        metrics,
    )
