"""The search space of tuning trials."""
