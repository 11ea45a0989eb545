"""A training loop in PyTorch as its users write it, with the fused Adam."""

import numpy as np
import torch
from torch import nn

from benchmarks.peers.training_case import Fitted, TrainingCase

CASE = TrainingCase


class Classifier(nn.Module):
    """A GRU and a fully connected layer on its last state."""

    def __init__(self, case: TrainingCase) -> None:
        super().__init__()
        self.gru = nn.GRU(case.input_size, case.hidden_size, batch_first=True)
        self.head = nn.Linear(case.hidden_size, case.n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.head(self.gru(x)[1][0])


def make(case: TrainingCase) -> Fitted:
    """Make what is timed."""
    torch.set_num_threads(case.n_threads)
    X, y = (torch.from_numpy(array) for array in case.data())

    def fit() -> list[float]:
        torch.manual_seed(0)
        model = Classifier(case)
        optimizer = torch.optim.Adam(
            model.parameters(), lr=case.learning_rate, fused=True
        )
        losses = []
        for _ in range(case.n_epochs):
            total = 0.0
            for batch in torch.randperm(len(X)).split(case.batch_size):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(X[batch]), y[batch])
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), case.max_norm)
                optimizer.step()
                total += loss.item() * len(batch)
            losses.append(total / len(X))
        return losses

    return Fitted(fit, lambda: {"losses": np.array(fit())})
