"""Refuse what a model's file could do besides computing: run code, read other files, or fill the memory."""
