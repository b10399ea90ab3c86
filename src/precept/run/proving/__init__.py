"""What ``precept check`` and every training run prove before step one."""
