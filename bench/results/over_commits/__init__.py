"""Follow what a configuration scores, costs and takes from commit to commit, and find where it changed."""
