"""The model that a trial trains: its head, its random initial weights, and whether it is what it claims to be."""
