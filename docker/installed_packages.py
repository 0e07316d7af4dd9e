"""Prints NAME==VERSION of every Python package where this runs, for `make sbom`."""

from importlib.metadata import distributions

found = {f"{one.metadata['Name'].lower()}=={one.version}" for one in distributions()}
print("\n".join(sorted(found)))
