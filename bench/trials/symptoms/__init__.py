"""Signs in a trial that its training went wrong: what the record keeps of them, and the report flags."""
