"""The commands of `bench`, one a file. Each imports what it needs when it is called."""
