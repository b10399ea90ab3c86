"""The training loop, its optimizer and its checkpoints. The loop knows neither method nor model."""
