"""Measures the exported models against each other and against controls."""
