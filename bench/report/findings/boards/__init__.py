"""Small tables that answer one question beside the leaderboard, each on the page, in Markdown, JSON and a terminal."""
