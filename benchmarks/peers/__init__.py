"""Other libraries' GRU beside ours, each in its own process: ``python -m benchmarks.peers``.

One file per library, which defines ``make(case)``: a ``Timed`` with a forward pass, a training step, and
their results by name.  A library that cannot be imported is left out with a word.
"""
