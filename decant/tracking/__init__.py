"""MLflow: runs tracked live, spooled where the server is away, and delivered later."""
