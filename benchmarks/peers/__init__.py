"""Other libraries' GRU beside ours: ``python -m benchmarks.peers``.

Each library runs in its own process.

One file per library, which defines ``make(case)``: a ``Timed`` with a forward pass, a
training step, and their results by name.  A library that cannot be imported is left out
with a word.
"""
