"""Talking to a Kubeflow Pipelines server: connection, credentials, uploads, runs."""
