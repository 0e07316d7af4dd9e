"""The registry as people use it: versions, what they were judged on, and the history of aliases."""
