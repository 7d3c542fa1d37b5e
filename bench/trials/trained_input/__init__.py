"""What a stored trial's model gets: the bands and the range of values that it was trained on, whatever the data."""
