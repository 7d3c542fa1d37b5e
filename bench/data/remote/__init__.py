"""Data sets at an address that the library fsspec reads: https://, s3://, zip:// and so on.

A tree of stubs in the cache stands for the files of an address: empty files of the same names, sizes and, by their
times, versions. Adapters list it as any folder. Whoever reads a file's content goes through
bench/data/reading/contents.py, which fetches it.
"""
