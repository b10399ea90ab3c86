"""What ``precept eval`` does, and the bridge to lm-evaluation-harness."""
