"""Arrays in files, on disks that get full at any byte."""

from pathlib import Path

import numpy as np
import pytest

from components.distill.array_files import map_array, save_array
from tests.decant.runtime.test_system_errors import ended

SAVE = """
    import numpy as np
    from pathlib import Path
    from components.distill.array_files import save_array
    save_array(Path(file), np.ones((304, 2), np.float32))
"""


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.asfortranarray(np.arange(6, dtype=np.float16).reshape(3, 2)),
        np.zeros((5, 1), np.float32),
    ],
)
def test_the_file_is_numpys(values: np.ndarray, tmp_path: Path) -> None:
    save_array(tmp_path / "values.npy", values)
    np.save(tmp_path / "expected.npy", np.ascontiguousarray(values))
    written = (tmp_path / "values.npy").read_bytes()
    assert written == (tmp_path / "expected.npy").read_bytes()
    np.testing.assert_array_equal(map_array(tmp_path / "values.npy"), values)


@pytest.mark.parametrize("limit", [100, 1967, 2559])
def test_a_disk_that_gets_full_is_one_message(limit: int, tmp_path: Path) -> None:
    """The file has 2,560 bytes, fewer than C keeps back until it closes one."""
    done = ended(SAVE.strip(), str(tmp_path / "file.npy"), FSIZE=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error[disk-full]: "), done.stderr
    assert "Traceback" not in done.stderr
