"""Texts per second and tails of the programs that answer over HTTP."""
