"""Where ONNX Runtime finds CUDA's libraries. A GPU is not needed: nothing is computed with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
from onnx import TensorProto, helper, save

from decant.runtime.identity import PROJECT

# As the packages lay them out that torch's CUDA builds ask for; those of CUDA 12 by component.
CUDA_LIBRARIES = {
    "12": ("cublas/lib/libcublas.so.12", "cuda_runtime/lib/libcudart.so.12"),
    "13": ("cu13/lib/libcublas.so.13", "cu13/lib/libcudart.so.13"),
}
CUDNN = "cudnn/lib/libcudnn.so.9"
CUDA_MAJOR = str(getattr(onnxruntime, "cuda_version", "")).partition(".")[0]

# Opens a session with ONNX Runtime as if it were installed beside the folder `nvidia`, and prints
# which of its libraries the process has mapped.
PROGRAM = """
import sys
from pathlib import Path
import onnxruntime
from decant.inference.classifier import open_session

site, graph = sys.argv[1:]
onnxruntime.__file__ = f"{site}/onnxruntime/__init__.py"
try:
    open_session(Path(graph), 1, "cuda")
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
print(Path("/proc/self/maps").read_text())
"""


@pytest.mark.skipif(
    CUDA_MAJOR not in CUDA_LIBRARIES, reason="this build of ONNX Runtime has no CUDA, or another"
)
def test_cudas_libraries_are_taken_from_the_packages_that_torch_brings(tmp_path: Path) -> None:
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_shared.so"
    expected = [tmp_path / "nvidia" / name for name in (*CUDA_LIBRARIES[CUDA_MAJOR], CUDNN)]
    for file in expected:  # any library: that it is opened is what counts
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, file)
    numbers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])], "one", numbers[:1], numbers[1:]
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "model.onnx")

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "model.onnx")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    opened = {line.split()[-1] for line in done.stdout.splitlines() if str(tmp_path) in line}
    assert {str(file) for file in expected} <= opened, done.stderr
