"""What `decant doctor` looks at, a subject per file."""
