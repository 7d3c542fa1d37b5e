"""Other definitions of the metrics, and what they would change: `bench audit`."""
