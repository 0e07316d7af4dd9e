"""The folder on the shared volume that brings inputs to the nodes and outputs back."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant.runtime.errors import UserError
from decant.training.processes import params_file


class Exchange:
    """`<shared>/train-jobs/<job>/`, with `params.json`, a folder per port, and a cache."""

    def __init__(self, shared: Path, job: str) -> None:
        self.folder = shared / "train-jobs" / job
        self.cache = self.folder / "cache"

    def bring(self, name: str, section: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
        """Copy the inputs and the step's parameters there; what was there is removed.

        Raises UserError when the volume cannot be written.
        """
        try:
            self.remove()
            self.folder.mkdir(parents=True)
            for port, path in inputs.items():
                shutil.copytree(path, self.folder / port)
            (self.folder / "params.json").write_text(params_file(name, section), "utf-8")
        except OSError as error:
            raise UserError(
                f"cannot copy the inputs of {name} to {self.folder}: {error.strerror or error}",
                code="path-unwritable",
                hint="mount a volume there that has free space and that user 10001 may write",
            ) from None

    def command(self, name: str, ports: Mapping[str, Path]) -> list[str]:
        """The command of every node: the step, on the folders of this exchange."""
        words = ["python", "-m", "components", name, "--params", str(self.folder / "params.json")]
        for port in ports:
            words += [f"--{port}", str(self.folder / port)]
        return words

    def take(self, outputs: Mapping[str, Path]) -> None:
        """Copy the outputs into the given folders, which exist and are empty.

        Raises UserError for an output that the nodes did not write.
        """
        for port, folder in outputs.items():
            if not (self.folder / port).is_dir():
                raise UserError(
                    f"the TrainJob is complete, but there is no {self.folder / port}",
                    code="train-job-output-missing",
                    hint="its nodes must mount the same volume at the same path as this task",
                )
            shutil.copytree(self.folder / port, folder, dirs_exist_ok=True)

    def remove(self) -> None:
        """Remove the folder, with what the nodes left there."""
        shutil.rmtree(self.folder, ignore_errors=True)
