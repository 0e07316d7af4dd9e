"""The parameters of each head: a settings class `Config` in a file of its name."""
