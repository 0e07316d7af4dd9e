"""Decant: what a BERT knows, in a small and fast model."""
