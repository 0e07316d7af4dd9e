"""From a registered version back to its commit, data and runs, and the run again."""
