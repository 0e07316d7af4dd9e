"""The KFP component of transfer_weights: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def transfer_weights(
    tokens: dsl.Input[dsl.Dataset],
    encoder: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    params: str,
    key: str,
    initial_student: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Build the student and initialise it from BERT's weights."""
    from decant.runner.kfp_task import run_component

    run_component(
        "transfer_weights",
        params,
        {
            "tokens": tokens.path,
            "encoder": encoder.path,
            "teacher": teacher.path,
            "initial_student": initial_student.path,
        },
        metrics,
    )
