"""The same forecaster in PyTorch: windows are taken from one tensor by their rows."""

import numpy as np
import torch
from torch import nn

from benchmarks.peers.forecasting_case import ForecastingCase
from benchmarks.peers.training_case import Fitted

CASE = ForecastingCase


class Forecaster(nn.Module):
    """A GRU and a fully connected layer on its last state."""

    def __init__(self, case: ForecastingCase) -> None:
        super().__init__()
        self.gru = nn.GRU(1, case.hidden_size, batch_first=True)
        self.head = nn.Linear(case.hidden_size, case.horizon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the next steps."""
        return self.head(self.gru(x)[1][0])


def make(case: ForecastingCase) -> Fitted:
    """Make what is timed."""
    torch.set_num_threads(case.n_threads)
    series = case.series()
    lags = torch.arange(case.n_lags)
    ahead = torch.arange(case.n_lags, case.n_lags + case.horizon)

    def fit() -> list[float]:
        torch.manual_seed(0)
        scaled = [(one - one.mean()) / one.std() for one in series]
        values = torch.from_numpy(np.concatenate(scaled).astype(np.float32))
        ends = np.cumsum([len(one) for one in series])
        last = case.n_lags + case.horizon - 1
        windows = [
            torch.arange(end - len(one), end - last)
            for one, end in zip(series, ends, strict=True)
        ]
        begins = torch.cat(windows)
        model = Forecaster(case)
        optimizer = torch.optim.Adam(
            model.parameters(), lr=case.learning_rate, fused=True
        )
        losses = []
        for _ in range(case.n_epochs):
            total = 0.0
            for batch in torch.randperm(len(begins)).split(case.batch_size):
                first = begins[batch][:, None]
                optimizer.zero_grad()
                found = model(values[first + lags][:, :, None])
                loss = 0.5 * nn.functional.mse_loss(found, values[first + ahead])
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), case.max_norm)
                optimizer.step()
                total += loss.item() * len(batch)
            losses.append(total / len(begins))
        return losses

    return Fitted(fit, lambda: {"losses": np.array(fit())})
