"""Measured studies: their code and their results."""
