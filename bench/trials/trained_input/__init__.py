"""The input of a stored trial's model: the bands and the range of values that it was trained on, whatever the data."""
