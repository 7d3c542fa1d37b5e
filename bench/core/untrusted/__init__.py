"""Read what others may have made: files, JSON and values that may be wrong, or made to do harm."""
