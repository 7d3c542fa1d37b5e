"""The predictions of a model: which class it took for which, and the class maps that are kept."""
