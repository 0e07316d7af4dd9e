"""Begins what a contributor adds. Not a part of the package: it runs in a checkout."""
