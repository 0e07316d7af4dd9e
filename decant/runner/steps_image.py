"""The container images that docker/Dockerfile builds: of the pipeline's steps, and to serve."""

from importlib.metadata import version

STEPS_IMAGE = f"decant-steps:{version('decant')}"
STEPS_CPU_IMAGE = f"decant-steps-cpu:{version('decant')}"  # without CUDA
SERVE_IMAGE = f"decant-serve:{version('decant')}"


def is_fixed(image: str) -> bool:
    """Whether the name has a digest, or a tag that does not move, as `latest` does."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or tag not in ("", "latest")
