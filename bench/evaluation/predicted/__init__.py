"""What a model predicted: which class it took for which, and the class maps that are kept."""
