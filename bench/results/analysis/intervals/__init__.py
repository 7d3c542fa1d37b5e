"""Confidence intervals of measured numbers: the values that a kind of number can have, and none beyond them."""
