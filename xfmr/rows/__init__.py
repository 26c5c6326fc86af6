"""Rows of archive files, written exactly once in groups, and the sets that finished groups form."""
