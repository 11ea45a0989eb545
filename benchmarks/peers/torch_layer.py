"""torch.nn.GRU: inference mode for the forward pass, autograd for the step.

Lengths go through a PackedSequence, packed and padded within what is timed, since
callers come with padded sequences and want them back.
"""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.peers.case import Case, Timed, Unsupported


def make(case: Case) -> Timed:
    """Make what is timed."""
    if not case.reset_after:
        raise Unsupported("torch resets after the product only")
    if case.lengths().min() == 0:
        raise Unsupported("torch packs no sequence of length 0")
    torch.set_num_threads(case.n_threads)
    arrays = {name: torch.from_numpy(value) for name, value in case.arrays().items()}
    x, d_output = arrays.pop("x"), arrays.pop("d_output")
    lengths = torch.from_numpy(case.lengths())
    gru = torch.nn.GRU(case.input_size, case.hidden_size, dtype=x.dtype)
    gru.load_state_dict(arrays)
    x_with_gradient = x.clone().requires_grad_()

    def run(x: torch.Tensor) -> torch.Tensor:
        if not case.ragged:
            return gru(x)[0]
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(gru(packed)[0], total_length=case.n_steps)[0]

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return run(x)

    def step() -> None:
        gru.zero_grad()
        x_with_gradient.grad = None
        run(x_with_gradient).backward(d_output)

    def results() -> dict[str, np.ndarray]:
        step()
        gradients = {name: p.grad.numpy() for name, p in gru.named_parameters()}
        return {
            "output": forward().numpy(),
            "x": x_with_gradient.grad.numpy(),
            **gradients,
        }

    return Timed(forward, step, results)
