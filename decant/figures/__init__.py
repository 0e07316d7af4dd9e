"""What an evaluation found: the types of metrics.json, a gate's checks, and figures as text."""
