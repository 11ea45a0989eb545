"""torch.nn.GRU: inference mode for the forward pass, autograd for the step."""

import numpy as np
import torch

from benchmarks.peers.case import Case, Timed


def make(case: Case) -> Timed:
    """Make what is timed."""
    torch.set_num_threads(case.n_threads)
    arrays = {name: torch.from_numpy(value) for name, value in case.arrays().items()}
    x, d_output = arrays.pop("x"), arrays.pop("d_output")
    gru = torch.nn.GRU(case.input_size, case.hidden_size, dtype=x.dtype)
    gru.load_state_dict(arrays)
    x_with_gradient = x.clone().requires_grad_()

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return gru(x)[0]

    def step() -> None:
        gru.zero_grad()
        x_with_gradient.grad = None
        gru(x_with_gradient)[0].backward(d_output)

    def results() -> dict[str, np.ndarray]:
        step()
        gradients = {name: p.grad.numpy() for name, p in gru.named_parameters()}
        return {
            "output": forward().numpy(),
            "x": x_with_gradient.grad.numpy(),
            **gradients,
        }

    return Timed(forward, step, results)
