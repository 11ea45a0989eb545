"""A training run that gives the bits written here, on every machine and version.

A change of the digests means that every user's results change: it is to be wanted, and
to stand in the changelog.
"""

import hashlib
import json

import numpy as np
import pytest

import fastgru
from cases import num_threads
from cpus import CPUS, start_on_cpu
from fastgru.kernels.simd import REGISTERS

# A cold child compiles every kernel.
pytestmark = pytest.mark.timeout(600)

# By type, and whether the reset gate acts after the product or before.
GOLDEN = {
    "f4 after": "1b99179d6fc32ad76fd927d500e4e49746f73ed43566cc12ae7adc7159fa50c2",
    "f4 before": "d0f13b11234d87526b9adeb868a11edf63ee29d731802d8b308b9c022ab4085c",
    "f8 after": "413d7da49b9390f9f4cbf3a647856a1fb8ed960feb40c37235fb9c1abe559c09",
    "f8 before": "8df4c295f7a87ba5101b24cfbbe5ae56478503244ee891acda67d997177e61b8",
}

# More packed rows than a sum of the weights' gradients takes at once, no size a
# multiple of any register.
T, B, I, H, O = 12, 37, 5, 21, 3


def numbers(shape, dtype, start=0):
    """Make numbers from -1 to 1 that no generator draws, from whole numbers only."""
    i = np.arange(start, start + np.prod(shape), dtype=np.int64)
    return ((i * 2654435761 % 1000) / 500 - 1).reshape(shape).astype(dtype)


def add(digest, *arrays):
    """Add arrays to a digest, bit for bit in the order of their axes."""
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())


def train(dtype, reset_after):
    """Train a network and give a digest of all that is seen on the way."""
    common = {"dtype": dtype, "random_state": 0}
    dropout = {"dropout": 0.25, "recurrent_dropout": 0.4}
    kind = {"num_layers": 2, "bidirectional": True, "reset_after": reset_after}
    gru = fastgru.GRU(I, H, **kind, **dropout, **common)
    network = fastgru.Network([gru, fastgru.Dense(2 * H, O, **common)])
    optimizer = fastgru.optimizers.Adam(network, learning_rate=0.01)
    loss = fastgru.losses.SquaredError()
    x, targets = numbers((T, B, I), dtype), numbers((T, B, O), dtype, start=12345)
    lengths = np.arange(B) * 5 % (T + 1)
    valid = np.arange(T)[:, np.newaxis] < lengths

    digest = hashlib.sha256()
    for step in range(4):
        outputs, pullback = network.vjp(x, lengths, dropout_seed=step)
        value, d_outputs = loss(outputs, targets, sample_weight=valid)
        gradients = pullback(d_outputs)
        add(digest, outputs, np.float64(value), d_outputs, gradients.x)
        add(digest, *gradients.parameters.values())
        optimizer.step(gradients)
        add(digest, *network.state_dict().values())
    add(digest, network(x, lengths), network(x))

    # What a network does not show: states at both ends.
    trained = network.layers[0]
    h_0 = numbers((4, B, H), dtype, start=777)
    for seed in (None, 5):
        output, h_n, pullback = trained.vjp(x, h_0, lengths, dropout_seed=seed)
        gradients = pullback(np.ones_like(output), h_n)
        add(digest, output, h_n, gradients.x, gradients.h_0)
        add(digest, *gradients.parameters.values())
    add(digest, *trained(x, h_0, lengths))
    return digest.hexdigest()


def digests():
    """Train with both types and both cells."""
    found = {}
    for name in GOLDEN:
        dtype, cell = name.split()
        found[name] = train(dtype, cell == "after")
    return found


def test_training_gives_the_bits_written_here():
    assert digests() == GOLDEN


@pytest.mark.usefixtures("two_threads")
def test_threads_do_not_matter():
    for n in (1, 2):
        with num_threads(n):
            assert digests() == GOLDEN


@pytest.mark.parametrize("cpu", CPUS.values(), ids=CPUS)
def test_another_cpu_gives_the_same_bits(cpu):
    with start_on_cpu(__file__, cpu) as child:
        try:
            printed, errors = child.communicate(timeout=580)
        finally:
            child.kill()
    assert child.returncode == 0, errors
    found = json.loads(printed)
    assert found.pop("register_bytes") == cpu.register_bytes
    assert found == GOLDEN


if __name__ == "__main__":
    print(json.dumps({"register_bytes": REGISTERS.size, **digests()}))
