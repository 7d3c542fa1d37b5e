"""Join results folders into one, whole or as what may be published."""
