"""The KFP component of transfer_weights: its ports and one call."""

from kfp import dsl

from components.shared.image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def transfer_weights(
    tokens: dsl.Input[dsl.Dataset],
    encoder: dsl.Input[dsl.Model],
    teacher: dsl.Input[dsl.Model],
    params: str,
    key: str,
    student0: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Build the student and initialise it from BERT's weights."""
    from components.shared.kfp_adapter import run_component

    run_component(
        "transfer_weights",
        params,
        {
            "tokens": tokens.path,
            "encoder": encoder.path,
            "teacher": teacher.path,
            "student0": student0.path,
        },
        metrics,
    )
