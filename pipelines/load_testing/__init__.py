"""A load test: clients that ask a scoring server, what they saw, and a report of it."""
