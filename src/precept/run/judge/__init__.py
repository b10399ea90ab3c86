"""What ``precept judge`` does."""
