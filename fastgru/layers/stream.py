"""A network that is fed one step at a time and remembers the states in between."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from fastgru._threads import get_num_threads
from fastgru.kernels.dense import dense_forward
from fastgru.kernels.own_loops import gru_step, one_hot_step, step_work_size
from fastgru.layers._checks import check_array, check_shape, check_size, readable
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.dense import ACTIVATIONS, Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.geometry import Geometry
from fastgru.layers.gru import GRU
from fastgru.layers.pooling import Pooling


class Stream:
    """Runs a network step by step; :meth:`Network.stream` makes it.

    After each step the outputs are, bit for bit, those of the network for the steps so
    far: its last step's, or with a pooling the sequence's.

    Attributes
    ----------
    state : dict of str to ndarray
        All that is remembered: under the number of each GRU in the network its states
        (num_layers, B, H), or (num_layers, H) without ``batch_size``; with a mean or
        maximum also ``"pooled"`` (B, F), sums in float64 or the largest numbers so far,
        and ``"steps"`` (B,), how many there were.  Reading it gives copies; setting it
        takes the same names, shapes and types.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> network = fastgru.Network([fastgru.GRU(3, 4), fastgru.Dense(4, 2)])
    >>> x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    >>> stream = network.stream()
    >>> outputs = [stream.step(x_t) for x_t in x]
    >>> bool((network(x) == outputs).all())
    True
    """

    def __init__(
        self,
        layers: tuple[Layer, ...],
        form: Form,
        batch_size: int | None,
        *,
        refuses_nan: bool = False,
    ) -> None:
        if batch_size is not None:
            check_size("batch_size", batch_size)
        self._reads_tokens = form.n_features is None
        self._dtype = form.dtype
        # Of what is read without a look at each of its properties; tokens never are.
        self._usual_dtype = None if self._reads_tokens else form.dtype
        self._batch_size = batch_size
        self._n_rows = batch_size or 1
        self._refuses_nan = refuses_nan
        leading = () if batch_size is None else (batch_size,)
        features = () if form.n_features is None else (form.n_features,)
        self._shape = (*leading, *features)
        self._geometry = Geometry.equal(1, self._n_rows, batch_first=False)
        # Layers in order; those that remember something by what does so.
        self._stages: list[Any] = []
        self._last = -1  # of the GRUs
        for number, layer in enumerate(layers):
            following = layer._follow(form)
            takes_last = isinstance(layer, Pooling) and layer.how == "last"
            if not (takes_last or isinstance(layer, Dropout)):
                self._stages.append(self._stage(number, layer, form, following))
            if isinstance(layer, GRU):
                self._last = len(self._stages) - 1
            form = following
        # In a small step each word of Python counts, so these are looked up once.
        takes = [
            partial(self._run, stage) if isinstance(stage, Layer) else stage.take
            for stage in self._stages
        ]
        self._until_last = takes[: self._last + 1]
        self._behind_last = takes[self._last + 1 :]

    def _stage(self, number: int, layer: Layer, came: Form, form: Form) -> Any:
        """Return what runs a layer; came, form : what goes in and comes out of it."""
        if isinstance(layer, GRU):
            if layer.bidirectional:
                raise ValueError(
                    f"a stream has no steps to come, which {layer!r} reads first"
                )
            refuses_nan = self._refuses_nan and self._last < 0
            return _States(
                str(number),
                layer,
                self._n_rows,
                refuses_nan=refuses_nan,
                reads_one_hot=came.is_one_hot,
            )
        if isinstance(layer, Pooling):
            if layer.how == "attention":
                raise ValueError(
                    "a stream forgets the steps, which attention weighs anew each "
                    "time: pool by last, mean or max"
                )
            assert form.n_features is not None  # as a pooling's are
            return _Pooled(layer.how, self._n_rows, form.n_features, form.dtype)
        if (
            isinstance(layer, Dense)
            and self._last >= 0
            and layer._is_small(self._n_rows)
        ):
            return _SmallDense(layer, self._n_rows)
        return layer

    def reset(self, mask: Any = None) -> None:
        """Forget the steps so far: states are zero again.

        Parameters
        ----------
        mask : array-like of bool of shape (batch_size,), default=None
            Which sequences begin anew; None means all.

        Raises
        ------
        ValueError
            If the mask is not of that shape and type.
        """
        rows: Any = slice(None)
        if mask is not None:
            rows = np.asarray(mask)
            if rows.dtype != bool or rows.shape != (self._n_rows,):
                raise ValueError(
                    f"mask must be bool of shape {(self._n_rows,)}, got dtype "
                    f"{rows.dtype}, shape {rows.shape}"
                )
        for stage in self._stages:
            if isinstance(stage, (_States, _Pooled)):
                stage.reset(rows)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """All that is remembered of the steps so far, by name."""
        found: dict[str, np.ndarray] = {}
        for stage in self._stages:
            if isinstance(stage, (_States, _Pooled)):
                found |= stage.read()
        if self._batch_size is None:
            found = {name: self._without_batch(name, a) for name, a in found.items()}
        return {name: array.copy() for name, array in found.items()}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        now = self.state
        if set(state) != set(now):
            raise ValueError(f"state must hold {sorted(now)}, got {sorted(state)}")
        arrays = {name: np.asarray(value) for name, value in state.items()}
        for name, array in arrays.items():
            expected = now[name]
            if array.shape != expected.shape or array.dtype != expected.dtype:
                raise ValueError(
                    f"state {name!r} must have shape {expected.shape} and dtype "
                    f"{expected.dtype}, got shape {array.shape}, dtype {array.dtype}"
                )
        for stage in self._stages:
            if isinstance(stage, (_States, _Pooled)):
                for name, own in stage.read().items():
                    own[...] = arrays[name].reshape(own.shape)

    @staticmethod
    def _without_batch(name: str, array: np.ndarray) -> np.ndarray:
        return array[0] if name in ("pooled", "steps") else array[:, 0]

    def step(self, x_t: Any) -> np.ndarray:
        """Return the outputs after one more step.

        Parameters
        ----------
        x_t : ndarray of shape (batch_size, input_size), or (input_size,) without it
            Input; tokens of shape (batch_size,) or a single token behind an Embedding.

        Returns
        -------
        ndarray of shape (batch_size, output_size), or (output_size,)

        Raises
        ------
        TypeError, ValueError
            If x_t is not what the network reads; the states then stay what they were.
        """
        return self._to_user(self._outputs(x_t))

    def _advance(self, x_t: Any) -> np.ndarray:
        """Take all states one step further; return those of the last GRU, flat."""
        values = x_t
        if not (
            type(x_t) is np.ndarray
            and x_t.dtype is self._usual_dtype
            and x_t.shape == self._shape
            and x_t.flags.carray
        ):
            values = self._check(x_t)
        if self._batch_size is not None:
            values = values.reshape(-1)
        for take in self._until_last:
            values = take(values)
        return values

    def _run(self, layer: Layer, values: np.ndarray) -> np.ndarray:
        if values.dtype == np.int64:
            rows = Rows(values, self._geometry)  # tokens
        else:
            rows = Rows(values.reshape(self._n_rows, -1), self._geometry)
        return layer._infer(rows, get_num_threads()).values.reshape(-1)

    def _outputs(self, x_t: Any) -> np.ndarray:
        """Take a step; return the outputs, flat and not a copy."""
        values = self._advance(x_t)
        for take in self._behind_last:
            values = take(values)
        return values

    def _to_user(self, values: np.ndarray) -> np.ndarray:
        """Return a copy of flat rows in the caller's axes."""
        copy = values.copy()
        return copy if self._batch_size is None else copy.reshape(self._n_rows, -1)

    def _check(self, x_t: Any) -> np.ndarray:
        if self._reads_tokens:
            x_t = np.asarray(x_t)
            if x_t.dtype.kind not in "iu":
                raise TypeError(
                    f"x_t must hold tokens, whole numbers, got dtype {x_t.dtype}"
                )
            return check_shape("x_t", x_t, self._shape).astype(np.int64).reshape(-1)
        x_t = check_array("x_t", x_t, self._dtype)
        check_shape("x_t", x_t, self._shape)
        return readable(x_t)


class _States:
    """The states of one GRU."""

    def __init__(
        self,
        name: str,
        gru: GRU,
        n_rows: int,
        *,
        refuses_nan: bool,
        reads_one_hot: bool,
    ) -> None:
        size = gru.hidden_size
        self._name = name
        self._n_rows = n_rows
        self._reset_after = gru.reset_after
        self._refuses_nan = refuses_nan
        # One number of several features; of one feature it is the feature itself.
        self._reads_one_hot = reads_one_hot and gru.input_size > 1
        self._input_size = gru.input_size
        # (num_layers, B, H), and what the kernel takes: one flat row per layer.
        self._states = np.zeros((gru.num_layers, n_rows, size), gru.dtype)
        work = step_work_size(
            n_rows, size, gru.dtype.itemsize, reset_after=gru.reset_after
        )
        self._work = np.zeros(work, gru.dtype)
        self._layers = [
            (state.reshape(-1), directions[0]._packed)
            for state, directions in zip(self._states, gru._stack.layers, strict=True)
        ]

    def take(self, x: np.ndarray) -> np.ndarray:
        """Take one step; return the state of the last layer, which is not a copy."""
        work, n_rows, reset_after = self._work, self._n_rows, self._reset_after
        checks = self._refuses_nan
        layers = self._layers
        if self._reads_one_hot:
            state, packed = layers[0]
            one_hot_step(state, x, packed, work, n_rows, self._input_size, reset_after)
            x, checks, layers = state, False, layers[1:]
        for state, packed in layers:
            place = gru_step(state, x, packed, work, n_rows, reset_after, checks)
            if place >= 0:
                self._refuse(x, place)
            x, checks = state, False
        return x

    def _refuse(self, x: np.ndarray, place: int) -> None:
        sequence, feature = divmod(place, x.size // self._n_rows)
        raise ValueError(
            f"x_t contains {x[place]}: feature {feature} of sequence {sequence}; the "
            "states stay what they were"
        )

    def reset(self, rows: Any) -> None:
        self._states[:, rows] = 0

    def read(self) -> dict[str, np.ndarray]:
        return {self._name: self._states}


class _SmallDense:
    """A fully connected layer behind the states, into an array that is used again."""

    def __init__(self, layer: Dense, n_rows: int) -> None:
        self._shape = (n_rows, layer.input_size)
        self._packed = layer._packed
        self._activation = ACTIVATIONS[layer.activation]
        self._outputs = np.empty((n_rows, layer.output_size), layer.dtype)
        self._flat = self._outputs.reshape(-1)

    def take(self, values: np.ndarray) -> np.ndarray:
        """Take flat rows; return the layer's, which are not a copy."""
        rows = values.reshape(self._shape)
        dense_forward(self._outputs, rows, self._packed, self._activation)
        return self._flat


class _Pooled:
    """What a mean or a maximum of the steps remembers."""

    def __init__(self, how: str, n_rows: int, n_features: int, dtype: np.dtype) -> None:
        self._how = how
        self._steps = np.zeros(n_rows, np.int64)
        kind = np.float64 if how == "mean" else dtype
        self._pooled = np.zeros((n_rows, n_features), kind)

    def take(self, values: np.ndarray) -> np.ndarray:
        """Take the rows of a step; return the pooled rows so far."""
        pooled = self._pooled
        rows = values.reshape(pooled.shape)
        self._steps += 1
        if self._how == "mean":
            pooled += rows
            mean = pooled / self._steps[:, np.newaxis]
            return mean.astype(values.dtype).reshape(-1)
        is_larger = ~(rows <= pooled) & (pooled == pooled)
        is_larger |= (self._steps == 1)[:, np.newaxis]
        pooled[is_larger] = rows[is_larger]
        return pooled.reshape(-1)

    def reset(self, rows: Any) -> None:
        self._steps[rows] = 0
        self._pooled[rows] = 0

    def read(self) -> dict[str, np.ndarray]:
        return {"pooled": self._pooled, "steps": self._steps}
