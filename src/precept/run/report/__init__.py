"""What ``precept report`` does."""
