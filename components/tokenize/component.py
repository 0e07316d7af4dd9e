"""The KFP component of tokenize: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def tokenize(
    corpus: dsl.Input[dsl.Dataset],
    encoder: dsl.Input[dsl.Model],
    params: str,
    key: str,
    tokens: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Token ids of every split, memory-mapped."""
    from decant.runner.kfp_task import run_component

    run_component(
        "tokenize",
        params,
        {"corpus": corpus.path, "encoder": encoder.path, "tokens": tokens.path},
        metrics,
    )
