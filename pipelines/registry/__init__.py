"""The model registry: versions, their evidence, and the history of aliases."""
