"""What two or more steps use. Nothing here imports a step."""
