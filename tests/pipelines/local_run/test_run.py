"""What a local run hands over when it ends."""

from pathlib import Path

from decant.runtime.steps import STEPS, load_step
from pipelines.local_run.pipeline_run import _collect, artifact_folder
from tests.errors import raises


def make_outputs(root: Path) -> list[str]:
    """Finished artifacts of every step, where KFP puts them."""
    ports = []
    for name in STEPS:
        for port in load_step(name).output_ports:
            folder = root / "run" / name.replace("_", "-") / port
            folder.mkdir(parents=True)
            (folder / "card.json").write_text("{}")
            ports.append(port)
    return ports


def test_artifacts_go_where_dvc_has_them(tmp_path: Path) -> None:
    ports = make_outputs(tmp_path / "root")
    _collect(tmp_path / "root", tmp_path / "out")
    assert {port for port in ports if (tmp_path / "out" / artifact_folder(port)).is_dir()} == set(
        ports
    )
    assert (tmp_path / "out" / "reports" / "card.json").is_file()


def test_a_folder_without_its_card_is_of_a_step_that_failed(tmp_path: Path) -> None:
    make_outputs(tmp_path / "root")
    (tmp_path / "root" / "run" / "register" / "receipt" / "card.json").unlink()
    with raises("pipeline-failed", "register.receipt", str(tmp_path / "out" / "kfp.log")):
        _collect(tmp_path / "root", tmp_path / "out")
    assert (tmp_path / "out" / "reports").is_dir(), "what was made is kept"
