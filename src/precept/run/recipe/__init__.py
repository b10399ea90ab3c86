"""What ``precept run`` does: recipes read, checked and run step by step."""
