"""What stored trials predicted: which class was taken for which, and their kept class maps."""
