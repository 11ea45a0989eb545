"""A ``fastgru.Network`` as a module of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Pooling(nn.Module):
    """One row for each sequence, from the rows of its valid steps.

    Parameters
    ----------
    how : {"last", "mean", "max", "attention"}
        As for :class:`fastgru.Pooling`.
    n_features : int, default=None
        Features of a row, for attention.
    dtype : torch.dtype, default=None
        Type of the parameters of attention.
    """

    def __init__(
        self, how: str, n_features: int | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.how = how
        if how == "attention":
            # Not "weight", which in a state_dict would look like that of a Linear.
            empty = torch.zeros(1, n_features, dtype=dtype)
            self.score_weight = nn.Parameter(empty)

    def extra_repr(self) -> str:
        """Say how it pools."""
        return repr(self.how)

    def forward(self, x: Any, valid: Any, axis: int, final: Any = None) -> Any:
        """Pool steps.

        Parameters
        ----------
        x : Tensor of shape (T, B, F) or (B, T, F)
        valid : Tensor of shape (T, B) or (B, T), bool
            Which steps are a sequence's own; the others come after these.
        axis : int
            That of the steps.
        final : Tensor of shape (B, F), default=None
            What "last" is to give, if that is not the row of the last step.

        Returns
        -------
        Tensor of shape (B, F)
            0 for a sequence without steps.
        """
        n_steps = valid.sum(axis).unsqueeze(-1)
        outside = ~valid.unsqueeze(-1)
        if self.how == "last":
            pooled = self._last(x, n_steps, axis) if final is None else final
        elif self.how == "mean":
            pooled = x.masked_fill(outside, 0).sum(axis) / n_steps.clamp(min=1)
        elif self.how == "max":
            pooled = x.masked_fill(outside, -torch.inf).amax(axis)
        else:
            # Finite, so that a sequence without steps makes no NaN in the gradients.
            lowest = torch.finfo(x.dtype).min
            scores = (x @ self.score_weight.T).masked_fill(outside, lowest)
            pooled = (scores.softmax(axis) * x).sum(axis)
        return pooled.masked_fill(n_steps == 0, 0)

    @staticmethod
    def _last(x: Any, n_steps: Any, axis: int) -> Any:
        places = (n_steps - 1).clamp(min=0).expand(-1, x.shape[-1])
        return x.gather(axis, places.unsqueeze(axis)).squeeze(axis)


class OneHot(nn.Module):
    """Features of which one is 1, from tokens.

    Parameters
    ----------
    n_tokens : int
    dtype : torch.dtype
        Of the features.
    """

    def __init__(self, n_tokens: int, dtype: Any) -> None:
        super().__init__()
        self.n_tokens, self.dtype = n_tokens, dtype

    def extra_repr(self) -> str:
        """Say how many tokens there are."""
        return str(self.n_tokens)

    def forward(self, x: Any) -> Any:
        """Make features, with an axis more than the tokens have."""
        return nn.functional.one_hot(x, self.n_tokens).to(self.dtype)


class TorchNetwork(nn.Module):
    """Modules one after the other, as a ``fastgru.Network`` runs its layers.

    Parameters
    ----------
    modules : iterable of GRU, Pooling, and modules that work on each row by itself
        Named by their places, as in ``torch.nn.Sequential``.  Of a GRU the states after
        all steps go on.
    batch_first : bool, default=False
        Whether input and outputs per step are (B, T, ...) and not (T, B, ...), also of
        the GRUs.
    """

    def __init__(
        self, modules: Iterable[nn.Module], *, batch_first: bool = False
    ) -> None:
        super().__init__()
        self.batch_first = batch_first
        for place, module in enumerate(modules):
            self.add_module(str(place), module)

    def extra_repr(self) -> str:
        """Say where the batch is."""
        return f"batch_first={self.batch_first}"

    def forward(self, x: Any, lengths: Any = None) -> Any:
        """Run the modules.

        Parameters
        ----------
        x : Tensor of shape (T, B, I) or, with ``batch_first``, (B, T, I)
            Input; behind an Embedding or OneHot tokens, of shape (T, B) or (B, T).
        lengths : Tensor or array-like of int of shape (B,), default=None
            Number of valid steps of each sequence, in any order, from 0 to T; None
            means T.

        Returns
        -------
        Tensor
            One row per step, (T, B, O) or (B, T, O), 0 past the end of a sequence; or
            one per sequence, (B, O), if there is a Pooling.

        Raises
        ------
        ValueError
            If x has other axes, or a length does not fit.
        """
        self._check_axes(x)
        axis = 1 if self.batch_first else 0
        valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if lengths is not None:
            lengths = self._check_lengths(lengths, x)
            steps = torch.arange(x.shape[axis], device=x.device).unsqueeze(1 - axis)
            valid = steps < lengths.unsqueeze(axis)
            # What is not read must not spoil the gradients either.
            x = x.masked_fill(~valid.reshape(valid.shape + (1,) * (x.dim() - 2)), 0)
        final, per_step = None, True
        for module in self._modules.values():
            if isinstance(module, nn.GRU):
                x, final = _run_gru(module, x, lengths)
            elif isinstance(module, Pooling):
                x, final, per_step = module(x, valid, axis, final), None, False
            elif isinstance(module, (nn.Dropout, nn.Identity)):
                x, final = module(x), None if final is None else module(final)
            else:
                x, final = module(x), None
        return x.masked_fill(~valid.unsqueeze(-1), 0) if per_step else x

    def _check_axes(self, x: Any) -> None:
        # PyTorch's GRU takes fewer axes for a single sequence, which is not meant here.
        kinds = (nn.Embedding, OneHot)
        tokens = any(isinstance(m, kinds) for m in self._modules.values())
        if x.dim() != (2 if tokens else 3):
            axes = "B, T" if self.batch_first else "T, B"
            raise ValueError(
                f"x must have the axes ({axes}{'' if tokens else ', I'}), got shape "
                f"{tuple(x.shape)}"
            )

    def _check_lengths(self, lengths: Any, x: Any) -> Any:
        lengths = torch.as_tensor(lengths, device=x.device)
        n_sequences, n_steps = x.shape[:2] if self.batch_first else x.shape[1::-1]
        if lengths.shape != (n_sequences,):
            raise ValueError(
                f"lengths must name {n_sequences} lengths, one per sequence, got shape "
                f"{tuple(lengths.shape)}"
            )
        if bool(((lengths < 0) | (lengths > n_steps)).any()):
            raise ValueError(
                f"lengths must be from 0 to {n_steps} steps, got {lengths.tolist()}"
            )
        return lengths


def _run_gru(gru: nn.GRU, x: Any, lengths: Any) -> tuple[Any, Any]:
    """Return the states after all steps and the last layer's final states."""
    if lengths is None:
        states, h_n = gru(x)
    else:
        form = {"batch_first": gru.batch_first}
        n_steps = x.shape[1 if gru.batch_first else 0]
        # PyTorch packs no sequence without steps; what it makes of one is left out
        # by whoever looks at valid steps.
        packed = pack_padded_sequence(
            x, lengths.clamp(min=1).cpu(), enforce_sorted=False, **form
        )
        packed, h_n = gru(packed)
        states, _ = pad_packed_sequence(packed, total_length=n_steps, **form)
    directions = 2 if gru.bidirectional else 1
    return states, torch.cat(list(h_n[-directions:]), dim=-1)


def run_module(module: Any, *arguments: np.ndarray) -> Any:
    """Return a module's results; the module is in evaluation mode."""
    with torch.no_grad():
        results = module(*(torch.from_numpy(array) for array in arguments))
    if isinstance(results, tuple):
        return tuple(result.numpy() for result in results)
    return (results.numpy(),)
