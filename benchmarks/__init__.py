"""Measured studies, their results, and what makes them."""
