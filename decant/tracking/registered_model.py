"""A registered model's exported folder, from MLflow's registry."""

from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri, without_secrets
from decant.tracking.lasting_causes import lasting_cause
from decant.tracking.mlflow_store import open_client, store_exists, tracking_uri
from decant.tracking.moved_store import refuse_moved_store

MANIFEST = "manifest.json"  # marks the exported folder within MLflow's


def download_exported(uri: str, folder: Path) -> Path:
    """Download `models:/NAME/VERSION` or `models:/NAME@ALIAS`; returns the exported folder.

    No code that came with the model is run.

    Args:
        folder: an empty folder that the download may fill; it must outlive the use of the model.

    Raises:
        UserError: there is no store yet, it was moved, it has no such version, or that is not a
            model of Decant.
        ModuleNotFoundError: MLflow is not installed.
    """
    import mlflow.artifacts  # first: without it there is nothing to look for

    store = tracking_uri()
    shown = shown_uri(store)
    hint = "list the models with `decant models`, or set MLFLOW_TRACKING_URI"
    if not store_exists():
        problem = f"no model {uri}: there is no tracking store {shown} yet"
        raise UserError(problem, code="tracking-store-missing", hint=hint)
    try:
        open_client()
        mlflow.set_tracking_uri(store)
        refuse_moved_store()
        model = mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))
    except UserError:
        raise
    except Exception as error:  # MLflow's, the database's, the artifact store's
        problem = f"cannot load {uri} from {shown}: {without_secrets(str(error))}"
        cause = lasting_cause(error)
        raise cause or UserError(problem, code="model-version-unknown", hint=hint) from None
    return exported_folder(Path(model), uri)


def exported_folder(model: Path, name: str) -> Path:
    """The exported folder within a folder of MLflow's. Raises UserError when there is none."""
    found = sorted(model.rglob(MANIFEST))
    if not found:
        raise UserError(
            f"{name} is not a model of Decant: it has no {MANIFEST}",
            code="model-foreign",
            hint="Decant did not register it, or its files were deleted from the artifact store",
        )
    return found[0].parent
