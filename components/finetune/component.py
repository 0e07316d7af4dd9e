"""The KFP component of finetune: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def finetune(
    tokens: dsl.Input[dsl.Dataset],
    encoder: dsl.Input[dsl.Model],
    params: str,
    key: str,
    teacher: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Fine-tune BERT on the labelled split."""
    from decant.runner.kfp_task import run_component

    run_component(
        "finetune",
        params,
        {"tokens": tokens.path, "encoder": encoder.path, "teacher": teacher.path},
        metrics,
    )
