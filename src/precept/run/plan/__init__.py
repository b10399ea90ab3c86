"""What ``precept plan`` does."""
