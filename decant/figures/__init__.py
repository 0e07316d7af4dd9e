"""Figures of an evaluation: the types of metrics.json, a gate's checks, and figures as text."""
