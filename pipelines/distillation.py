"""The flow: from raw text to a registered ONNX student. dvc.yaml has the same flow for DVC.

A step's parameters are passed as one canonical JSON string. Its key is the digest of its code (for
ingest also of its sources), so that KFP's cache, which compares parameters and the names of images,
never answers with the outputs of older code.
"""

from kfp import dsl
from kfp.kubernetes import use_field_path_as_env

from components.distill.component import distill
from components.evaluate.component import evaluate
from components.export_onnx.component import export_onnx
from components.finetune.component import finetune
from components.ingest.component import ingest
from components.register.component import register
from components.tokenize.component import tokenize
from components.transfer_weights.component import transfer_weights


@dsl.pipeline(
    name="decant-distillation",
    description="Pours what a BERT encoder knows into a small network, and registers it.",
)
def distillation(
    ingest_params: str,
    tokenize_params: str,
    finetune_params: str,
    transfer_weights_params: str,
    distill_params: str,
    export_onnx_params: str,
    evaluate_params: str,
    register_params: str,
    ingest_key: str,
    tokenize_key: str,
    finetune_key: str,
    transfer_weights_key: str,
    distill_key: str,
    export_onnx_key: str,
    evaluate_key: str,
    register_key: str,
) -> None:
    source = ingest(params=ingest_params, key=ingest_key)
    source.set_display_name("ingest: corpus and encoder")
    corpus, encoder = source.outputs["corpus"], source.outputs["encoder"]

    tokenized = tokenize(corpus=corpus, encoder=encoder, params=tokenize_params, key=tokenize_key)
    tokenized.set_display_name("tokenize")
    tokens = tokenized.outputs["tokens"]

    tuned = finetune(tokens=tokens, encoder=encoder, params=finetune_params, key=finetune_key)
    tuned.set_display_name("fine-tune the teacher")
    teacher = tuned.outputs["teacher"]

    transferred = transfer_weights(
        tokens=tokens,
        encoder=encoder,
        teacher=teacher,
        params=transfer_weights_params,
        key=transfer_weights_key,
    )
    transferred.set_display_name("transfer weights to the student")

    distilled = distill(
        tokens=tokens,
        encoder=encoder,
        teacher=teacher,
        initial_student=transferred.outputs["initial_student"],
        params=distill_params,
        key=distill_key,
    )
    distilled.set_display_name("distill")

    exported = export_onnx(
        tokens=tokens,
        teacher=teacher,
        student=distilled.outputs["student"],
        undistilled=distilled.outputs["undistilled"],
        params=export_onnx_params,
        key=export_onnx_key,
    )
    exported.set_display_name("export to ONNX")
    onnx = exported.outputs["onnx"]

    evaluated = evaluate(onnx=onnx, corpus=corpus, params=evaluate_params, key=evaluate_key)
    evaluated.set_display_name("evaluate against teacher and controls")

    registered = register(
        onnx=onnx,
        evaluation=evaluated.outputs["evaluation"],
        report=evaluated.outputs["report"],
        params=register_params,
        key=register_key,
    )
    registered.set_display_name("register in MLflow")
    registered.set_caching_options(False)  # the registry may have changed

    # MLflow's parent run is found by KFP's run id. It comes from the pod's label: as a parameter
    # it would be part of the cache's key, and no task would ever be answered from the cache.
    for task in (
        source,
        tokenized,
        tuned,
        transferred,
        distilled,
        exported,
        evaluated,
        registered,
    ):
        use_field_path_as_env(task, "KFP_RUN_ID", "metadata.labels['pipeline/runid']")
