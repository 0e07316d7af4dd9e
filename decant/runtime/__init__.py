"""What a step sees of its surroundings: settings, identity, artifacts, reporter, errors."""
