"""A fitted language model that is fed one token at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgru.estimators.stream import EstimatorStream
from fastgru.kernels.losses import log_softmax

if TYPE_CHECKING:
    from fastgru.estimators.language_model import GRULanguageModel


class LanguageModelStream(EstimatorStream):
    """Feeds a language model one token at a time; its ``stream`` method makes it.

    Each method takes the next token of one text, or of ``batch_size`` texts side by
    side, and returns the bits that the model gives for the whole text so far.  A token
    that the vocabulary lacks is taken for the unknown one.  A stream belongs to one
    thread at a time.

    Parameters
    ----------
    model : GRULanguageModel
        Fitted.
    batch_size : int or None
        Number of texts side by side; None means one, without an axis for it.

    Attributes
    ----------
    state : dict of str to ndarray
        All that is remembered of the tokens so far, by name; reading it gives copies,
        setting it takes the same names, shapes and types.

    Examples
    --------
    >>> from fastgru import GRULanguageModel
    >>> model = GRULanguageModel(
    ...     hidden_size=16, num_steps=8, batch_size=4, tol=0.1, random_state=0
    ... )
    >>> stream = model.fit("to be or not to be " * 20).stream()
    >>> for letter in "to b":
    ...     probabilities = stream.predict_proba(letter)
    >>> bool((probabilities == model.predict_proba("to b")).all())
    True
    """

    def __init__(self, model: GRULanguageModel, batch_size: int | None) -> None:
        super().__init__(model, batch_size)
        self._vocabulary = model._vocabulary

    def step(self, token: Any) -> np.ndarray:
        """Take a token and return the state of the last recurrent layer.

        Parameters
        ----------
        token : token, or sequence of ``batch_size`` tokens

        Returns
        -------
        ndarray of shape (n_units,), or (batch_size, n_units)

        Raises
        ------
        TypeError, ValueError
            If the token is not hashable, or there are not as many as texts; the states
            then stay what they were.
        """
        return super().step(token)

    def predict(self, token: Any) -> Any:
        """Take a token and return the most probable next one.

        Parameters
        ----------
        token : as for ``step``

        Returns
        -------
        token, or ndarray of object of shape (batch_size,)

        Raises
        ------
        TypeError, ValueError
            As ``step``.
        """
        return super().predict(token)

    def predict_proba(self, token: Any) -> np.ndarray:
        """Take a token and return the probability of each next one.

        Parameters
        ----------
        token : as for ``step``

        Returns
        -------
        ndarray of shape (n_tokens,), or (batch_size, n_tokens)
            In the order of ``vocabulary_``.

        Raises
        ------
        TypeError, ValueError
            As ``step``.
        """
        return super().predict_proba(token)

    def predict_log_proba(self, token: Any) -> np.ndarray:
        """Take a token and return the logarithm of the probability of each next one.

        Minus its mean over the tokens that did come is the logarithm of the perplexity:
        added up in order, the bits of :meth:`GRULanguageModel.perplexity`.

        Parameters
        ----------
        token : as for ``step``

        Returns
        -------
        ndarray of shape (n_tokens,), or (batch_size, n_tokens), float64

        Raises
        ------
        TypeError, ValueError
            As ``step``.
        """
        outputs = self._outputs(token).reshape(self._n_rows, -1)
        logarithms = np.empty(outputs.shape)
        log_softmax(logarithms, outputs)
        return logarithms[0] if self._batch_size is None else logarithms

    def _outputs_after(self, number: int) -> np.ndarray:
        """Take a token by its number; return the outputs, which are not a copy."""
        return self._outputs(self._vocabulary.tokens[number])

    def _check(self, token: Any) -> np.ndarray:
        number = self._vocabulary.number
        if self._batch_size is None:
            return np.array([number(token)])
        if len(token) != self._n_rows:
            raise ValueError(
                f"expected a token for each of {self._n_rows} texts, got {len(token)}"
            )
        return np.array([number(one) for one in token])
