"""Runs a step: what DVC's command and the KFP component both call."""
