"""The language model: what token comes next in a text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from fastgru._checks import check_random_state
from fastgru._threads import resolve_n_jobs
from fastgru.estimators._base import GRUEstimator, _positive_int
from fastgru.estimators._generation import Choice, generate
from fastgru.estimators._going_on import (
    ONE_EPOCH,
    copy_parameters,
    fitted_of,
    take_up,
)
from fastgru.estimators._networks import first_part, make_token_network, summary
from fastgru.estimators._reading import log_likelihood, parts_of_outputs
from fastgru.estimators._tasks import NextToken
from fastgru.estimators._training import (
    callbacks_of,
    identity_of,
    make_random_state,
    make_trainer,
)
from fastgru.estimators._vocabulary import UNKNOWN, Vocabulary, tokens_of
from fastgru.estimators.language_stream import LanguageModelStream
from fastgru.layers.network import Network
from fastgru.sequences import SequenceForm
from fastgru.training.checkpoint import Checkpoint
from fastgru.training.history import History
from fastgru.training.trainer import Trainer
from fastgru.training.windows import RandomWindows, SequentialWindows

_OWN_CONSTRAINTS: dict[str, Any] = {
    "level": [StrOptions({"char", "word"})],
    "hidden_size": [_positive_int],
    "num_steps": [_positive_int],
    "batch_size": [_positive_int],
    "sampling": [StrOptions({"sequential", "random"})],
    "stride": [_positive_int, None],
    "min_frequency": [_positive_int],
    "tokenizer": [callable, None],
}
_NOT_OURS = (
    "bidirectional",
    "pooling",
    "dense_sizes",
    "activation",
    "n_tokens",
    "shuffle",
)


class GRULanguageModel(BaseEstimator):
    """Learns from a text which token comes next, with a gated recurrent unit.

    Tokens are the characters of a text, its words, what a tokeniser makes of it, or the
    members of any sequence.  The model gives the probability of each token after any
    beginning: how well it knows a text, and how one might go on.

    Parameters
    ----------
    level : {"char", "word"}, default="char"
        What the tokens of a text are: its characters, or what stands between white
        space.  A sequence that is no ``str`` consists of tokens, whatever the level.
    hidden_size : int, default=256
        Number of units of each layer.
    num_layers : int, default=1
        Number of recurrent layers.
    reset_after : bool, default=True
        Whether the reset gate acts after the product with the recurrent weights, as in
        PyTorch, or before it, as in the original paper.
    embedding_dim : int or None, default=None
        Length of the vector that is learned for each token; None means one-hot vectors,
        which suits some hundreds of tokens.  For words 50 to 300 are usual.
    num_steps : int, default=35
        Tokens through which gradients go back: the length of a window.
    batch_size : int, default=32
        Windows per minibatch.
    sampling : {"sequential", "random"}, default="sequential"
        Whether the text is cut into ``batch_size`` streams, each window going on with
        the states of the one before; or windows come in random order and begin with
        states of zero.
    stride : int or None, default=None
        For random sampling, how many tokens after a window the next one begins, from 1,
        all windows that there are, to ``num_steps``.  None means that windows do not
        overlap and are cut elsewhere in each epoch.
    min_frequency : int, default=1
        How often a token must occur to be part of the vocabulary; others are taken for
        the unknown token.
    tokenizer : callable or None, default=None
        ``tokenizer(text)`` returns the tokens of a ``str``; it takes the place of
        ``level``.
    dropout, recurrent_dropout, initializer : default=0.0, 0.0, "uniform"
        As for :class:`fastgru.GRUClassifier`; a mask holds for one window.
    solver, alpha, l1_ratio : default="adam", 0.0, 0.0
        As for :class:`fastgru.GRUClassifier`.
    learning_rate, learning_rate_init, power_t : default="constant", 0.001, 0.5
        As for :class:`fastgru.GRUClassifier`; a sample is a token.
    decay_rate, max_iter, random_state, tol : default=0.95, 200, None, 1e-4
        As for :class:`fastgru.GRUClassifier`.
    verbose, warm_start, momentum : default=False, False, 0.9
        As for :class:`fastgru.GRUClassifier`; a warm start keeps the vocabulary.
    nesterovs_momentum, early_stopping : default=True, False
        As for :class:`fastgru.GRUClassifier`; the validation score is ``score``.
    validation_fraction : float, default=0.1
        Part of the text, at its end, that ``early_stopping`` holds out.
    n_iter_no_change, beta_1, beta_2 : default=10, 0.9, 0.999
        As for :class:`fastgru.GRUClassifier`.
    epsilon, clip_norm, callbacks : default=1e-8, 1.0, None
        As for :class:`fastgru.GRUClassifier`.
    checkpoint, n_jobs, dtype : default=None, None, "float32"
        As for :class:`fastgru.GRUClassifier`.

    Attributes
    ----------
    vocabulary_ : list of tokens
        The unknown token ``"<unk>"``, then all others, the most frequent one first.
    n_outputs_ : int
        Number of tokens in it.
    loss_curve_ : list of float
        Mean loss of each epoch, in nats per token.
    n_iter_, t_, loss_, best_loss_, validation_scores_, best_validation_score_
        As for :class:`fastgru.GRUClassifier`; ``t_`` counts tokens.
    out_activation_ : str
        "softmax".

    See Also
    --------
    fastgru.datasets.fetch_time_machine : A text that is often used.
    GRUTransformer : Vectors from sequences of tokens.

    Notes
    -----
    The tokens are kept as 32-bit integers, and a minibatch is copied from them when its
    turn comes.  Random numbers are drawn for the first parameters, then in each epoch
    for the place of the first cut and for the order of the windows.

    References
    ----------
    .. [1] Zhang, Lipton, Li and Smola (2023), "Dive into deep learning", sections 9.3
       to 9.5 and 10.2.

    Examples
    --------
    >>> from fastgru import GRULanguageModel
    >>> model = GRULanguageModel(
    ...     hidden_size=32,
    ...     num_steps=10,
    ...     batch_size=4,
    ...     learning_rate_init=0.01,
    ...     tol=0.01,
    ...     random_state=0,
    ... )
    >>> model = model.fit("the cat sat on the mat. " * 20)
    >>> model.generate("the cat", n_tokens=17)
    'the cat sat on the mat. '
    >>> bool(model.perplexity("the mat sat on the cat. ") > 1.1)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        name: constraint
        for name, constraint in GRUEstimator._parameter_constraints.items()
        if name not in _NOT_OURS
    } | _OWN_CONSTRAINTS

    # What is fitted.
    _network: Network
    _history: History
    _task: NextToken
    _form: SequenceForm
    _vocabulary: Vocabulary
    vocabulary_: list[Any]

    def __init__(
        self,
        level: str = "char",
        *,
        hidden_size: int = 256,
        num_layers: int = 1,
        reset_after: bool = True,
        embedding_dim: int | None = None,
        num_steps: int = 35,
        batch_size: int = 32,
        sampling: str = "sequential",
        stride: int | None = None,
        min_frequency: int = 1,
        tokenizer: Callable[[str], Sequence[Any]] | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initializer: str = "uniform",
        solver: str = "adam",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        decay_rate: float = 0.95,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        callbacks: Any = None,
        checkpoint: Any = None,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
        self.level = level
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.reset_after = reset_after
        self.embedding_dim = embedding_dim
        self.num_steps = num_steps
        self.batch_size = batch_size
        self.sampling = sampling
        self.stride = stride
        self.min_frequency = min_frequency
        self.tokenizer = tokenizer
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.initializer = initializer
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.decay_rate = decay_rate
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags

    # -- fitting --

    def fit(self, X: Any, y: Any = None, X_val: Any = None) -> GRULanguageModel:
        """Learn from a text.

        Parameters
        ----------
        X : str, or sequence of tokens
            The text, of at least ``num_steps + 1`` tokens.  A list, tuple or 1-D array
            is a sequence of tokens, which may be anything hashable.
        y : None
            Not used; pipelines pass it.
        X_val : as X, default=None
            Validation text, of at least 2 tokens: its score after each epoch becomes
            ``validation_scores_``, and training stops by it with ``early_stopping``.

        Returns
        -------
        GRULanguageModel
            The fitted estimator.

        Raises
        ------
        TypeError
            If a text is neither a ``str`` nor a sequence, or a token not hashable.
        ValueError
            If a parameter is not as described, a text is too short, no token occurs
            ``min_frequency`` times, or ``checkpoint`` belongs to another fit.
        """
        self._fit(X, X_val)
        return self

    def partial_fit(
        self, X: Any, y: Any = None, vocabulary: Sequence[Any] | None = None
    ) -> GRULanguageModel:
        """Train for one epoch, going on from the last call.

        Parameters
        ----------
        X : as for ``fit``
        y : None
            Not used.
        vocabulary : sequence of tokens, default=None
            For the first call, all tokens that may come, in any order; None means those
            of X.  Tokens that the vocabulary lacks are taken for the unknown one.

        Returns
        -------
        GRULanguageModel
            The fitted estimator.

        Raises
        ------
        TypeError
            As ``fit``.
        ValueError
            As ``fit``, and if the vocabulary is not that of the first call.
        """
        if self.checkpoint is not None:
            raise ValueError(
                "partial_fit does not write checkpoints: save the estimator instead"
            )
        self._fit(X, None, partial=True, vocabulary=vocabulary)
        return self

    def _fit(
        self,
        X: Any,
        X_val: Any,
        *,
        partial: bool = False,
        vocabulary: Sequence[Any] | None = None,
    ) -> None:
        """Train a new network, or the fitted one, and set the fitted attributes."""
        self._check_parameters()
        goes_on = hasattr(self, "_network") and (partial or bool(self.warm_start))
        symbols = self._tokens_of(X)
        known = self._choose_vocabulary(symbols, vocabulary, goes_on=goes_on)
        tokens = known.encode(symbols)
        held_out = None
        if X_val is not None:
            held_out = known.encode(self._tokens_of(X_val, "X_val"))
            _check_length("X_val", held_out, 2)
        elif self.early_stopping and not partial:
            tokens, held_out = self._split(tokens)
        _check_length("X", tokens, self.num_steps + 1, " (num_steps + 1)")
        settings = self.get_params(deep=False) | {"shuffle": True}
        random_state = make_random_state(settings)
        checkpoint = None
        if self.checkpoint is not None:
            start = self._network._parameters.flat if goes_on else None
            name = f"{type(self).__name__} {known.tokens!r}"
            parts = [
                None if part is None else RandomWindows(part, self.num_steps, None)
                for part in (tokens, held_out)
            ]
            identity = identity_of(settings, name, start, *parts)
            checkpoint = Checkpoint(self.checkpoint, identity, random_state)
        network = make_token_network(settings, len(known), random_state)
        if goes_on:
            copy_parameters(self, network)
        task = task_of(known)
        trainer = make_trainer(
            settings,
            network,
            task.loss,
            len(tokens) - 1,
            random_state,
            name=type(self).__name__,
            score=self._make_score(network, held_out),
            checkpoint=checkpoint,
            history=self._history if goes_on else None,
            **(ONE_EPOCH if partial else {}),
        )
        if partial:
            take_up(self, trainer)
        try:
            trainer.fit(self._make_windows(network, tokens))
        finally:
            # Whatever ended the training, finished epochs are not lost.
            if trainer.progress is not None:
                self._set_fitted(trainer, task, partial=partial)

    def _check_parameters(self) -> None:
        self._validate_params()
        callbacks_of(self.callbacks)
        if self.stride is None:
            return
        if self.sampling == "sequential":
            raise ValueError(
                f"stride={self.stride} is for windows in random order: set "
                'sampling="random", or leave it out'
            )
        if self.stride > self.num_steps:
            raise ValueError(
                f"stride={self.stride} is larger than num_steps={self.num_steps}: "
                "tokens between the windows would be left out"
            )

    def _tokens_of(self, text: Any, name: str = "X") -> Any:
        return tokens_of(text, self.level, self.tokenizer, name)

    def _choose_vocabulary(
        self, symbols: Any, given: Sequence[Any] | None, *, goes_on: bool
    ) -> Vocabulary:
        """Return the fitted vocabulary, the given one, or that of a text."""
        if given is not None:
            given = [token for token in dict.fromkeys(given) if token != UNKNOWN]
            if not goes_on:
                return Vocabulary([UNKNOWN, *given])
            if set(given) != set(self.vocabulary_[1:]):
                raise ValueError(
                    f"vocabulary has {len(given)} tokens that are not the "
                    f"{len(self.vocabulary_) - 1} of the first call"
                )
        if goes_on:
            return self._vocabulary
        return Vocabulary.of(symbols, self.min_frequency)

    def _split(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hold out the end of a text for validation."""
        n = math.ceil(len(tokens) * self.validation_fraction)
        if n < 2:
            raise ValueError(
                "early_stopping needs at least 2 tokens to validate on; "
                f"validation_fraction={self.validation_fraction} of {len(tokens)} "
                f"tokens is {n}"
            )
        return tokens[:-n], tokens[-n:]

    def _make_windows(
        self, network: Network, tokens: np.ndarray
    ) -> SequentialWindows | RandomWindows:
        if self.sampling == "sequential":
            return SequentialWindows(tokens, self.num_steps, network.zero_states)
        return RandomWindows(tokens, self.num_steps, self.stride)

    def _make_score(
        self, network: Network, held_out: np.ndarray | None
    ) -> Callable[[], float] | None:
        if held_out is None:
            return None
        n_threads = resolve_n_jobs(self.n_jobs)
        return lambda: _bits(log_likelihood(network, held_out, n_threads), held_out)

    def _set_fitted(self, trainer: Trainer, task: NextToken, *, partial: bool) -> None:
        """Set all fitted attributes at once."""
        fitted = fitted_of(trainer, partial=partial)
        fitted |= self._own_fitted(task, trainer.network)
        self.__dict__.pop("_going_on", None)
        self.__dict__.update(
            _task=task,
            _form=SequenceForm("tokens", 1),
            n_outputs_=task.n_outputs,
            out_activation_=task.loss.activation,
            **fitted,
        )

    def _own_fitted(self, task: NextToken, network: Network) -> dict[str, Any]:
        tokens = task.classes.tolist()
        return {"vocabulary_": tokens, "_vocabulary": Vocabulary(tokens)}

    # -- what it makes of texts --

    def perplexity(self, X: Any) -> float:
        """Return how surprising a text is.

        It is e to the mean of minus the logarithm of each token's probability given all
        tokens before it, from the second token on: the number of equally probable
        tokens among which one would be as hard to guess.

        Parameters
        ----------
        X : str, or sequence of tokens
            At least 2 tokens.

        Returns
        -------
        float
            At least 1, for a text that is known by heart.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If X is no text, or has fewer than 2 tokens.
        """
        tokens = self._encode(X, 2)
        total = self._log_likelihood(tokens)
        try:
            return math.exp(-total / (len(tokens) - 1))
        except OverflowError:
            return math.inf

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean bits per token, from the second token on.

        Parameters
        ----------
        X : as for ``perplexity``
        y : None
            Not used.

        Returns
        -------
        float
            Minus the logarithm of the perplexity to the base 2: higher is better, and 0
            the best.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``perplexity``.
        """
        tokens = self._encode(X, 2)
        return _bits(self._log_likelihood(tokens), tokens)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each token to follow a text.

        Parameters
        ----------
        X : str, or sequence of tokens
            At least 1 token.

        Returns
        -------
        ndarray of shape (n_tokens,)
            In the order of ``vocabulary_``.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If X is no text, or is empty.
        """
        outputs, _ = self._read(self._encode(X, 1))
        return self._task.loss.activate(outputs)

    def predict(self, X: Any) -> Any:
        """Return the most probable token to follow a text.

        Parameters
        ----------
        X : as for ``predict_proba``

        Returns
        -------
        token

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``predict_proba``.
        """
        outputs, _ = self._read(self._encode(X, 1))
        return self.vocabulary_[int(outputs.argmax())]

    def hidden_states(self, X: Any) -> np.ndarray:
        """Return the state of the last recurrent layer after each token.

        Parameters
        ----------
        X : as for ``predict_proba``

        Returns
        -------
        ndarray of shape (n_tokens_of_X, hidden_size)

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``predict_proba``.
        """
        tokens = self._encode(X, 1)
        network = first_part(self._network, pooled=False)
        n_threads = resolve_n_jobs(self.n_jobs)
        states = network.zero_states(1)
        parts = parts_of_outputs(network, tokens, n_threads, states)
        return np.concatenate(list(parts))

    def generate(
        self,
        prefix: Any,
        n_tokens: int = 100,
        temperature: float = 0.0,
        top_k: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Go on with a text, token by token.

        Parameters
        ----------
        prefix : str, or sequence of tokens
            How the text begins; at least 1 token.
        n_tokens : int, default=100
            How many tokens to add.
        temperature : float, default=0.0
            0 always takes the most probable token.  Otherwise tokens are drawn: with 1
            by the probabilities that the model gives, below 1 more often the probable
            ones, above 1 more often the others.
        top_k : int, default=None
            Draw among so many of the most probable tokens only; None means all.
        random_state : int, RandomState instance or None, default=None
            Draws the tokens.

        Returns
        -------
        str or list of tokens
            The prefix and what follows.  A ``str`` if the prefix is one and there is no
            ``tokenizer``; words are then joined by spaces.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If the prefix is no text or is empty, or a number not as described.

        Notes
        -----
        The unknown token comes like any other where training met it: with
        ``min_frequency`` above 1, as ``"<unk>"``.
        """
        choose = Choice(temperature, top_k, check_random_state(random_state))
        symbols = self._tokens_of(prefix, "prefix")
        numbers = self._encode(prefix, 1, "prefix")
        outputs, states = self._read(numbers)
        stream = self.stream()
        stream.state = {name: array[:, 0] for name, array in states.items()}
        found = generate(outputs, stream._outputs_after, n_tokens, choose)
        tokens = [self.vocabulary_[number] for number in found]
        if not isinstance(prefix, str) or self.tokenizer is not None:
            return [*symbols, *tokens]
        if self.level == "char":
            return prefix + "".join(map(str, tokens))
        return " ".join(map(str, [*symbols, *tokens]))

    def stream(self, batch_size: int | None = None) -> LanguageModelStream:
        """Return what takes one token at a time.

        Parameters
        ----------
        batch_size : int, default=None
            Number of texts side by side; None means one, without an axis for it.

        Returns
        -------
        LanguageModelStream
            ``step``, ``predict`` and ``predict_proba`` take the next token of each.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        """
        check_is_fitted(self)
        return LanguageModelStream(self, batch_size)

    def summary(self) -> str:
        """Return a table of the fitted network: layers, shapes, parameter counts.

        Returns
        -------
        str
            To print.  In the shapes, n stands for the texts and T for the tokens.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        """
        check_is_fitted(self)
        return summary(self._network, self._form)

    def _encode(self, text: Any, least: int, name: str = "X") -> np.ndarray:
        """Return the numbers of a text's tokens."""
        check_is_fitted(self)
        tokens = self._vocabulary.encode(self._tokens_of(text, name))
        _check_length(name, tokens, least)
        return tokens

    def _log_likelihood(self, tokens: np.ndarray) -> float:
        return log_likelihood(self._network, tokens, resolve_n_jobs(self.n_jobs))

    def _read(self, tokens: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the outputs after the last of some tokens, and the states."""
        network = self._network
        states = network.zero_states(1)
        n_threads = resolve_n_jobs(self.n_jobs)
        parts = parts_of_outputs(network, tokens, n_threads, states)
        (last,) = deque(parts, maxlen=1)
        return last[-1], states


def _check_length(name: str, tokens: np.ndarray, least: int, why: str = "") -> None:
    if len(tokens) < least:
        raise ValueError(
            f"{name} must have at least {least} token{'s' * (least > 1)}{why}, "
            f"got {len(tokens)}"
        )


def task_of(vocabulary: Vocabulary) -> NextToken:
    """Return what a model of a vocabulary learns."""
    # Not np.array(tokens), which would make rows of tuples.
    classes = np.empty(len(vocabulary), object)
    for number, token in enumerate(vocabulary.tokens):
        classes[number] = token
    return NextToken(classes)


def _bits(log_likelihood: float, tokens: np.ndarray) -> float:
    """Return minus the mean bits per predicted token."""
    return log_likelihood / (len(tokens) - 1) / math.log(2.0)
