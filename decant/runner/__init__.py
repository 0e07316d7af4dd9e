"""Runs a step: called by DVC's command and by the KFP component."""
