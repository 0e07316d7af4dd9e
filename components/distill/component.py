"""The KFP component of distill: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def distill(
    tokens: dsl.Input[dsl.Dataset],
    encoder: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    initial_student: dsl.Input[dsl.Model],
    params: str,
    key: str,
    student: dsl.Output[dsl.Model],
    undistilled: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the student on the teacher's soft targets, and a control on the labels alone."""
    from decant.runner.kfp_task import run_component

    run_component(
        "distill",
        params,
        {
            "tokens": tokens.path,
            "encoder": encoder.path,
            "teacher": teacher.path,
            "initial_student": initial_student.path,
            "student": student.path,
            "undistilled": undistilled.path,
        },
        metrics,
    )
