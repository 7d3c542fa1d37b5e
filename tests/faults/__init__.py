"""Harnesses that kill `bench run`, cut its power or start several at once, and see whether a finished trial suffers."""
