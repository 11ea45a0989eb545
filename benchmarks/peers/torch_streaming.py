"""torch.nn.GRUCell step by step, and torch.nn.GRU on one step, in inference mode."""

import numpy as np
import torch

from benchmarks.peers.streaming_case import Streamed, StreamingCase

CASE = StreamingCase


def make(case: StreamingCase) -> Streamed:
    """Make what is timed."""
    torch.set_num_threads(1)
    arrays = {name: torch.from_numpy(value) for name, value in case.arrays().items()}
    x = arrays.pop("x")
    cell = torch.nn.GRUCell(case.input_size, case.hidden_size)
    cell.load_state_dict({n.removesuffix("_l0"): a for n, a in arrays.items()})
    layer = torch.nn.GRU(case.input_size, case.hidden_size)
    layer.load_state_dict(arrays)
    first = torch.zeros(case.hidden_size)
    state = {"h": first, "of layer": first[None]}

    def step() -> None:
        with torch.inference_mode():
            state["h"] = cell(x[0], state["h"])

    def layer_step() -> None:
        with torch.inference_mode():
            _, state["of layer"] = layer(x[:1], state["of layer"])

    def output() -> np.ndarray:
        h, states = first, []
        with torch.inference_mode():
            for x_t in x:
                h = cell(x_t, h)
                states.append(h.numpy())
        return np.array(states)

    return Streamed({"step": step, "step of nn.GRU": layer_step}, output)
