"""What ``precept data`` does: rows shown, made, kept and put in order."""
