"""The container image that the compiled pipeline names; docker/Dockerfile builds it."""

from importlib.metadata import version

STEPS_IMAGE = f"decant-steps:{version('decant')}"
