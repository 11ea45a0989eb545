"""Benchmarks: an asv suite, and ``peers``, which compares with other libraries.

asv imports all modules of all packages in here; ``peers`` has no ``__init__.py`` and is
none, since its files need libraries that the suite goes without.
"""
