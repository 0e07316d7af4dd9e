"""A Kubeflow Pipelines server: connection, credentials, uploads, runs."""
