"""The KFP component of ingest: its ports and one call."""

from kfp import dsl

from decant.runner.steps_image import STEPS_IMAGE


@dsl.component(base_image=STEPS_IMAGE, install_kfp_package=False)
def ingest(
    params: str,
    key: str,
    corpus: dsl.Output[dsl.Dataset],
    encoder: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Fetch encoder and source, check every row, split without leakage, take the label budget."""
    from decant.runner.kfp_task import run_component

    run_component(
        "ingest",
        params,
        {"corpus": corpus.path, "encoder": encoder.path},
        metrics,
    )
