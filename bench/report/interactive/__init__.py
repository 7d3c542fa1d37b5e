"""What the page's script needs to follow filter and limits as Python would: pairs of rows, and the script itself."""
