"""Files of the repository that lie outside of docs/ and are shown on the site.

A page links to them as GitHub needs it, relative to itself. Here the link becomes that of the site.
So a picture lies once, beside what makes it.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).resolve().parents[2]

# Path in the repository → path on the site.
SHOWN = {
    "benchmarks/peers/measured/accuracy_latency.png": "benchmarks/peers_accuracy_latency.png",
    "benchmarks/peers/measured/latency_percentiles.png": "benchmarks/peers_percentiles.png",
    "benchmarks/peers/measured/peers.md": "benchmarks/peers_figures.md",
    "benchmarks/study/measured/accuracy_latency_mean.png": "benchmarks/accuracy_latency_mean.png",
} | {
    f"benchmarks/study/measured/{study}{file}": f"benchmarks/{study}{file}"
    for study in ("", "equal_steps/", "recipe_before/")
    for file in ("accuracy_latency.png", "study.md")
}
_LINK = re.compile(r"\]\((?P<target>\.\./[^)\s#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the files to the site."""
    for source, target in SHOWN.items():
        files.append(File.generated(config, target, abs_src_path=str(PROJECT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to the files into links to their place on the site."""
    folder = PurePosixPath("docs", page.file.src_uri).parent

    def shown(link: re.Match[str]) -> str:
        source = os.path.normpath(folder / link["target"])
        if source not in SHOWN:
            return link[0]
        return f"]({os.path.relpath(PurePosixPath('docs', SHOWN[source]), folder)}"

    return _LINK.sub(shown, markdown)
