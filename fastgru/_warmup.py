"""Compiling ahead what a deployment needs, so that its first call does not wait."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastgru._jit import describe_cache, listening
from fastgru.cli import PURPOSES
from fastgru.layers._checks import check_dtype

# Steps, sequences, features, units and outputs with which every layer shares its work
# between threads.
_T, _B, _I, _H, _O = 150, 64, 8, 32, 40
_N_TOKENS = 20
_MANY = 256  # features with which threads share the inputs of one sequence


def warmup(
    purposes: str | Iterable[str] = PURPOSES,
    *,
    dtype: Any = "float32",
    verbose: bool = True,
) -> list[str]:
    """Compile what is needed later and keep it in the cache.

    Parameters
    ----------
    purposes : {"predict", "stream", "fit"} or several of them, default=all
        For calls of layers, networks and fitted estimators, for streams, and for
        training.
    dtype : {"float32", "float64"}, default="float32"
        Type of parameters and inputs.
    verbose : bool, default=True
        Whether to show a bar, and say at the end what was compiled.

    Returns
    -------
    list of str
        Names of the functions that were compiled; those in the cache already were
        loaded.

    Raises
    ------
    ValueError
        If a purpose or dtype is none of those above.

    Notes
    -----
    Kernels for one thread and for several are compiled, the latter only where
    :func:`get_num_threads` is more than 1.  The cache is that of the account and CPU it
    runs on: run this on the machine, or in the image, that serves later.

    Examples
    --------
    >>> import fastgru
    >>> compiled = fastgru.warmup("predict", verbose=False)
    >>> fastgru.warmup("predict", verbose=False)
    []
    """
    wanted = [purposes] if isinstance(purposes, str) else list(purposes)
    for purpose in wanted:
        if purpose not in PURPOSES:
            raise ValueError(
                f"a purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}"
            )
    dtype = check_dtype(np.dtype(dtype))
    begin = time.perf_counter()
    with listening() as compiled:
        tasks = [task for p in PURPOSES if p in wanted for task in _TASKS[p](dtype)]
        for task in _shown(tasks, verbose=verbose):
            task()
    if verbose:
        seconds = time.perf_counter() - begin
        print(
            f"{len(compiled)} functions compiled for {', '.join(wanted)} in {dtype}, "
            f"{seconds:.1f} s; cache: {describe_cache()['folder']}"
        )
        for name in compiled:
            print(f"  {name}")
    return compiled


def _shown(tasks: list[Callable[[], Any]], *, verbose: bool) -> Iterable[Any]:
    if not verbose:
        return tasks
    from tqdm import tqdm

    return tqdm(tasks, desc="warmup", unit="part", leave=False)


def _draw(dtype: np.dtype) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((_T, _B, _I)).astype(dtype)


def _networks(dtype: np.dtype) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield networks that have all layers between them, and what they read."""
    from fastgru.layers.dense import Dense
    from fastgru.layers.embedding import Embedding
    from fastgru.layers.gru import GRU
    from fastgru.layers.network import Network
    from fastgru.layers.pooling import KINDS, Pooling

    settings: dict[str, Any] = {"dtype": dtype, "random_state": 0}
    x = _draw(dtype)
    for how in KINDS:
        pooling = Pooling(how, n_features=_H, **settings)
        yield Network([GRU(_I, _H, **settings), pooling, Dense(_H, _O, **settings)]), x
    dense = Dense(_H, _O, **settings)
    yield Network([GRU(_I, _H, **settings), dense, Pooling("last")]), x
    layers = [Embedding(_N_TOKENS, _I, **settings), GRU(_I, _H, **settings)]
    yield Network([*layers, dense]), np.zeros((_T, _B), np.int64)


def _for_predictions(dtype: np.dtype) -> list[Callable[[], Any]]:
    from fastgru import losses
    from fastgru.kernels import losses as kernels
    from fastgru.kernels.values import all_within, logarithm
    from fastgru.layers.gru import GRU

    lengths = np.arange(_B) % _T + 1

    def run(network: Any, x: np.ndarray) -> None:
        for n_sequences in (_B, 2, 1):  # shared by rows, by units, and not at all
            network(x[:, :n_sequences])
        network(x[:3, :2])
        network(x, lengths)

    def activate() -> None:
        outputs = np.zeros((3, 2), dtype)
        for loss in (losses.CrossEntropy(), losses.BinaryCrossEntropy()):
            loss.activate(outputs)
        losses.Poisson().activate(outputs)
        kernels.log_softmax(outputs, outputs.copy())
        kernels.log_softmax(outputs.astype(np.float64), outputs)  # for perplexities
        kernels.softmax(outputs.astype(np.float64), outputs.astype(np.float64))
        kernels.sum_in_order(np.zeros(2))
        kernels.log_logistic(outputs[0], outputs[1].copy())

    def look() -> None:
        logarithm(np.zeros(2), np.ones(2))  # of series, and back
        kernels.exponential(np.zeros(2), np.ones(2))
        for given in (np.float32, np.float64):
            all_within(np.zeros((1, 1), given), np.ones(1, np.int64), 1.0)

    def run_one_sequence() -> None:
        GRU(_MANY, _H, dtype=dtype)(np.zeros((_T, 1, _MANY), dtype))

    runs = (partial(run, n, x) for n, x in _networks(dtype))
    return [*runs, run_one_sequence, activate, look]


def _for_streams(dtype: np.dtype) -> list[Callable[[], Any]]:
    from fastgru import losses
    from fastgru.kernels import gru_sequence
    from fastgru.layers.dense import Dense
    from fastgru.layers.gru import GRU
    from fastgru.layers.network import Network
    from fastgru.layers.one_hot import OneHot

    def run() -> None:
        gru = GRU(_I, _H, dtype=dtype)
        Network([OneHot(_I, dtype=dtype), gru]).stream().step(0)
        stream = Network([gru, Dense(_H, 2, dtype=dtype)]).stream()
        losses.CrossEntropy().activate(stream.step(np.zeros(_I, dtype)))
        state, weights, _ = gru.kernel_arrays()
        nothing = np.empty((0, _H), dtype)
        gru_sequence(nothing, state, np.zeros((1, _I), dtype), weights)

    return [run]


def _for_training(dtype: np.dtype) -> list[Callable[[], Any]]:
    from sklearn.exceptions import ConvergenceWarning

    from fastgru.estimators import GRUClassifier, GRURegressor
    from fastgru.layers.pooling import Pooling

    x = np.ascontiguousarray(_draw(dtype).transpose(1, 0, 2))
    few: dict[str, Any] = {"max_iter": 1, "dtype": dtype.name, "random_state": 0}
    tokens = np.zeros((_B, _T), np.int64)
    labels = np.arange(_B) % 3
    several = (np.arange(_B)[:, np.newaxis] + np.arange(3)) % 2
    numbers = np.abs(x[:, :, 0].sum(1))

    def fit(estimator: Any, y: np.ndarray, x: np.ndarray = x) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(x, y)

    def step(network: Any, x: np.ndarray) -> None:
        outputs, pullback = network.vjp(x)
        pullback(np.ones_like(outputs))

    # Pooling to the last step that is not one with the layer below.
    (last,) = (n for n in _networks(dtype) if isinstance(n[0].layers[-1], Pooling))
    classifiers: list[dict[str, Any]]
    classifiers = [{"solver": solver} for solver in ("adam", "sgd", "rmsprop")]
    classifiers += [{"solver": "sgd", "nesterovs_momentum": False}]
    classifiers += [{"pooling": how} for how in ("mean", "max", "attention")]
    classifiers += [{"dropout": 0.1, "recurrent_dropout": 0.1, "num_layers": 2}]
    classifiers += [{"initializer": "glorot_orthogonal", "l1_ratio": 0.5}]
    classifiers += [{"batch_size": 3, "early_stopping": True}]  # also on one thread
    losses = ("squared_error", "absolute_error", "huber", "quantile", "poisson")
    by_token = GRUClassifier(_H, n_tokens=_N_TOKENS, embedding_dim=128, **few)
    by_step = GRURegressor(_H, return_sequences=True, **few)
    return [
        *(partial(fit, GRUClassifier(_H, **o, **few), labels) for o in classifiers),
        *(partial(fit, GRURegressor(_H, loss=n, **few), numbers) for n in losses),
        partial(fit, GRUClassifier(_H, **few), several),
        partial(fit, by_token, labels, tokens),
        partial(fit, by_token, labels[:9], tokens[:9, :2]),
        partial(step, *last),
        partial(fit, by_step, np.zeros((_B, _T, _O), dtype)),
    ]


_TASKS = {
    "predict": _for_predictions,
    "stream": _for_streams,
    "fit": _for_training,
}
