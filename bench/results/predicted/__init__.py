"""The predictions of stored trials: which class was taken for which, and their kept class maps."""
