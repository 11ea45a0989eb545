"""The same training in PyTorch: the oracle of whole fits."""

import math


class Twin:
    """``nn.GRU`` and ``nn.Linear`` in float64, trained without shuffling.

    Parameters
    ----------
    initial : dict of str to ndarray
        First parameters: ``gru.weight_ih_l0`` and so on, ``dense.weight``,
        ``dense.bias``.
    """

    def __init__(self, initial):
        import torch

        n_outputs, hidden_size = initial["dense.weight"].shape
        input_size = initial["gru.weight_ih_l0"].shape[1]
        self.gru = torch.nn.GRU(input_size, hidden_size, dtype=torch.float64)
        self.dense = torch.nn.Linear(hidden_size, n_outputs, dtype=torch.float64)
        self.modules = {"gru": self.gru, "dense": self.dense}
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
    return estimator.fit(X, y)._network.parameters.copy_out()
