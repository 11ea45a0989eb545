"""The same in PyTorch, which need not be installed: a second oracle."""

import math

import numpy as np


def torch_gru(case, dtype=np.float64):
    """Build torch's layer with the settings and weights of a case."""
    import torch

    gru = torch.nn.GRU(
        case.gru.input_size,
        case.gru.hidden_size,
        case.gru.num_layers,
        bias=case.gru.bias,
        batch_first=case.gru.batch_first,
        bidirectional=case.gru.bidirectional,
    )
    return load_state_dict(gru, case.gru.state_dict(), dtype)


def load_state_dict(module, arrays, dtype=np.float64):
    """Give a module arrays of exactly its names, in order; returns the module."""
    assert tuple(module.state_dict()) == tuple(arrays)
    state = {name: to_torch(array, dtype) for name, array in arrays.items()}
    module.to(state[next(iter(state))].dtype).load_state_dict(state)
    return module


def to_torch(array, dtype=np.float64, **options):
    """Copy an array to a tensor."""
    import torch

    return torch.tensor(np.asarray(array, dtype), **options)


def run_torch(case, dtype=np.float64):
    """Give torch's results under the names of `cases.run_layer`.

    Lengths must be at least 1, the longest that of x.
    """
    import torch

    torch.set_num_threads(1)  # the tensors are tiny
    gru = torch_gru(case, dtype)
    x = to_torch(case.x, dtype, requires_grad=True)
    h_0, given = None, {}
    if case.h_0 is not None:
        h_0 = to_torch(case.h_0, dtype, requires_grad=True)
        given = {"h_0": h_0}
    if case.lengths is None:
        output, h_n = gru(x, h_0)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x,
            torch.as_tensor(case.lengths),
            batch_first=gru.batch_first,
            enforce_sorted=False,
        )
        packed, h_n = gru(packed, h_0)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(
            packed, batch_first=gru.batch_first
        )
    cotangents = [to_torch(case.d_output, dtype), to_torch(case.d_h_n, dtype)]
    torch.autograd.backward([output, h_n], cotangents)
    gradients = {"x": x, **given, **dict(gru.named_parameters())}
    return {
        "output": output.detach().numpy(),
        "h_n": h_n.detach().numpy(),
        **{f"d_{name}": t.grad.numpy() for name, t in gradients.items()},
    }


class Twin:
    """``nn.GRU`` and ``nn.Linear`` in float64, trained without shuffling.

    Parameters
    ----------
    initial : dict of str to ndarray
        First parameters of a ``Network`` of GRU, Pooling and Dense.
    """

    def __init__(self, initial):
        import torch

        n_outputs, hidden_size = initial["2.weight"].shape
        input_size = initial["0.weight_ih_l0"].shape[1]
        self.gru = torch.nn.GRU(input_size, hidden_size, dtype=torch.float64)
        self.dense = torch.nn.Linear(hidden_size, n_outputs, dtype=torch.float64)
        self.modules = {"0": self.gru, "2": self.dense}
        for prefix, module in self.modules.items():
            module.load_state_dict(
                {
                    name: torch.tensor(initial[f"{prefix}.{name}"])
                    for name in module.state_dict()
                }
            )
        self.parameters = [*self.gru.parameters(), *self.dense.parameters()]

    def outputs(self, X):
        """Run the network on a list of arrays; a tensor."""
        import torch

        tensors = [torch.tensor(x) for x in X]
        packed = torch.nn.utils.rnn.pack_sequence(tensors, enforce_sorted=False)
        _, h_n = self.gru(packed)
        return self.dense(h_n[0])

    def train(
        self,
        X,
        targets,
        loss,
        *,
        n_epochs,
        batch_size,
        rate,
        betas,
        epsilon,
        alpha,
        max_norm,
    ):
        """Train on minibatches in order and return the mean loss of each epoch.

        ``loss(outputs, targets)`` is the mean over a minibatch.
        """
        import torch

        torch.set_num_threads(1)  # the tensors are tiny
        optimizer = torch.optim.Adam(self.parameters, lr=rate, betas=betas)
        targets = torch.tensor(targets)
        losses, step = [], 0
        for _ in range(n_epochs):
            total = 0.0
            for begin in range(0, len(X), batch_size):
                batch = slice(begin, begin + batch_size)
                n = len(X[batch])
                squares = sum((p**2).sum() for p in self.parameters if p.ndim > 1)
                penalty = 0.5 * alpha * squares / n
                mean = loss(self.outputs(X[batch]), targets[batch]) + penalty
                optimizer.zero_grad()
                mean.backward()
                self.clip(max_norm)
                # Where epsilon is added: see the tests of the optimisers.
                step += 1
                optimizer.param_groups[0]["eps"] = epsilon / math.sqrt(
                    1 - betas[1] ** step
                )
                optimizer.step()
                total += n * float(mean.detach())
            losses.append(total / len(X))
        return losses

    def clip(self, max_norm):
        """Limit the norm of all gradients together; PyTorch's own adds 1e-6 to it."""
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in self.parameters))
        if max_norm is not None and norm > max_norm:
            for p in self.parameters:
                p.grad *= max_norm / norm

    def parameters_by_name(self):
        """Give the parameters as arrays, under the names of ``initial``."""
        return {
            f"{prefix}.{name}": tensor.numpy().copy()
            for prefix, module in self.modules.items()
            for name, tensor in module.state_dict().items()
        }


def first_parameters(estimator, X, y):
    """Give the parameters that an estimator starts from: a step of next to nothing."""
    estimator.set_params(learning_rate_init=1e-300, max_iter=1)
    return estimator.fit(X, y)._network.state_dict()
