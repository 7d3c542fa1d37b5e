"""Reasons to be careful with a row of the leaderboard, each with its evidence."""
