"""What a ``Network`` asks of its layers, and what all of them share.

Between layers go ``Rows``: the steps of all sequences in one table, valid ones only, or
one row per sequence once they have been pooled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from fastgru.layers.geometry import Geometry
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet

ConfiguredT = TypeVar("ConfiguredT", bound="Configured")


class Rows(NamedTuple):
    """One row of numbers per step of each sequence, or one per sequence."""

    values: np.ndarray  # (rows, features); tokens: (rows,) int64
    # Where the steps stand; every row of the table is one. None: a row per sequence, in
    # users' order.
    geometry: Geometry | None


class Form(NamedTuple):
    """What the rows between two layers hold, known before any data."""

    per: str  # "step" or "sequence"
    n_features: int | None  # None: tokens
    dtype: np.dtype
    # Whether a row is one number, that of the feature that is 1, all others being 0.
    is_one_hot: bool = False


class Parametrized(ABC):
    """What has named parameters and copies them out and in.

    ``_parameters`` are its own or, of a layer inside a network, a part of the network's
    one flat vector.  Whoever changes them calls ``_pack``.
    """

    _parameters: ParameterSet

    @abstractmethod
    def _pack(self) -> None:
        """Bring up to date what is derived from the parameters."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters.

        Returns
        -------
        dict of str to ndarray
            By the names and in the shapes that PyTorch gives them.
        """
        return self._parameters.copy_out()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Set all parameters; when anything does not fit, none is changed.

        Parameters
        ----------
        state_dict : mapping of str to array-like
            As ``state_dict`` returns it; that of PyTorch's layer of the same sizes
            fits.

        Raises
        ------
        TypeError
            If it is not a mapping.
        ValueError
            If a name is missing or unexpected, or a shape or dtype differs.
        """
        self._parameters.copy_in(state_dict)
        self._pack()


class Configured(Parametrized):
    """What the constructor's arguments and the parameters describe.

    A constructor goes through ``_configure``, ``_shapes`` and ``_bind``.  A file is
    checked between the first two and the last, which is the first to take memory.
    """

    # The constructor's arguments but random_state, which attributes of these names
    # hold.
    _settings: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _configure(self, *args: Any, **kwargs: Any) -> None:
        """Check the settings, all of them given by name, and set what follows."""

    @abstractmethod
    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield names and shapes of the parameters in order, taking no memory."""

    @abstractmethod
    def _bind(self, parameters: ParameterSet) -> None:
        """Use these arrays as parameters from now on, with the values they hold."""

    @classmethod
    def _without_parameters(
        cls: type[ConfiguredT], settings: Mapping[str, Any]
    ) -> ConfiguredT:
        """Return what ``settings()`` describe, to be bound to parameters."""
        configured = cls.__new__(cls)
        configured._configure(**settings)
        return configured

    @classmethod
    def _restored(
        cls: type[ConfiguredT],
        settings: Mapping[str, Any],
        state_dict: Mapping[str, Any],
    ) -> ConfiguredT:
        """Return what ``settings()`` describe, with these parameters."""
        configured = cls._without_parameters(settings)
        dtype = getattr(configured, "dtype", np.float32)
        parameters = ParameterSet(dict(configured._shapes()), dtype)
        parameters.copy_in(state_dict)
        configured._bind(parameters)
        return configured

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments but ``random_state`` as plain values.

        Returns
        -------
        dict of str to int, float, bool, str or None
        """
        settings = {name: getattr(self, name) for name in self._settings}
        if "dtype" in settings:
            settings["dtype"] = settings["dtype"].name
        return settings

    def __repr__(self) -> str:
        settings = (f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({', '.join(settings)})"

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights fit one CPU; the pickle may be read on another.
        return {"settings": self.settings(), "state_dict": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        restored = self._restored(state["settings"], state["state_dict"])
        self.__dict__.update(restored.__dict__)


class Layer(Configured):
    """A layer that a ``Network`` can hold."""

    @abstractmethod
    def _follow(self, form: Form) -> Form:
        """Return the form of what comes out, or raise ValueError if it cannot go in."""

    @abstractmethod
    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        """Run the layer and keep nothing."""

    @abstractmethod
    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        """Run the layer for training and return, besides, what ``_back`` needs.

        That may be the rows themselves: nobody may write to them before ``_back``.
        """

    @abstractmethod
    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        """Write the parameters' gradients; return that of the rows that came in.

        ``d_values`` may be overwritten.  Without ``wants_input`` the result is None.
        """
