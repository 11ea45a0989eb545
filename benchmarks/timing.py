"""How long asv measures each benchmark, so that the whole suite takes minutes."""


class Timing:
    """Base of the benchmarks: one process for each, and a second or so of calls."""

    rounds = 1
    repeat = (3, 30, 1.0)  # at least, at most, seconds
    warmup_time = 0.1
    timeout = 300
