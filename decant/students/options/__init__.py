"""The parameters of each architecture: a settings class `Config` in a file of its name."""
