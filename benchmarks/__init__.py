"""Benchmarks: an asv suite, and ``peers``, which compares with other libraries."""
