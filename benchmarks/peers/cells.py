"""The problems to time, as "B,T,I,H": a fixed grid, and shapes drawn at random."""

import numpy as np

GRID = (
    "1,1,16,32",
    "1,100,16,32",
    "1,100,64,128",
    "1,100,256,256",
    "1,100,512,512",
    "8,100,32,64",
    "32,35,28,256",
    "32,100,1,32",
    "32,100,16,32",
    "32,100,64,128",
    "32,100,256,256",
    "32,100,512,512",
    "128,100,16,64",
    "128,100,128,128",
    "256,100,256,256",
    "1024,20,8,32",
    "64,1000,1,32",
    "37,53,13,50",
)
QUICK = ("1,100,64,128", "32,100,16,32", "32,100,64,128", "37,53,13,50")
# Smallest and largest size of B, T, I and H when drawn.
RANGES = ((1, 512), (1, 500), (1, 512), (4, 512))
MOST_GFLOP = 4.0  # of a forward pass


def draw_cells(n: int, seed: int) -> list[str]:
    """Draw shapes, each size log-uniformly, again where the work is too much."""
    rng = np.random.default_rng(seed)
    low, high = np.log(np.array(RANGES) + [0, 1]).T
    cells: list[str] = []
    while len(cells) < n:
        b, t, i, h = (int(size) for size in np.exp(rng.uniform(low, high)))
        if 6e-9 * b * t * h * (i + h) <= MOST_GFLOP:
            cells.append(f"{b},{t},{i},{h}")
    return cells
