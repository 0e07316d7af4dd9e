"""Manifests for a deployment on Kubernetes."""
