"""What ``precept train`` does, from rows to a saved model."""
