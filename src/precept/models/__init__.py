"""Models in memory and on disk: folders, precision, adapters, the policy, saving and merging."""
