"""First values of parameters: seeded, and the same bits on every machine.

All randomness is ``random_state.random_sample``, 53 bits of the Mersenne Twister per
number, which NumPy keeps as it is.  What is computed from it uses fastgru's own
logarithm and single operations that IEEE 754 rounds one way, never a function of NumPy
or LAPACK whose last bit depends on the CPU or the version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastgru.kernels.normal import fill_normal
from fastgru.kernels.orthogonal import inplace_orthogonal_factor


def uniform(
    shape: tuple[int, ...], bound: float, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw numbers uniformly from [-bound, bound), in float64.

    Made of 53 random bits, one exact scaling and one rounded product, so no CPU rounds
    otherwise.
    """
    return (2.0 * random_state.random_sample(shape) - 1.0) * bound


def glorot_uniform(
    shape: tuple[int, int], random_state: np.random.RandomState
) -> np.ndarray:
    """Draw a weight of shape (fan_out, fan_in) as Glorot & Bengio do, in float64.

    Uniform in plus or minus ``sqrt(6 / (fan_in + fan_out))``: a compromise between
    keeping the variance of activations on the way forward and of gradients on the way
    back.

    References
    ----------
    .. [1] Glorot & Bengio (2010), "Understanding the difficulty of training deep
       feedforward neural networks", AISTATS, equation 16.
    """
    fan_out, fan_in = shape
    return uniform(shape, np.sqrt(6.0 / (fan_in + fan_out)), random_state)


def standard_normal(
    shape: tuple[int, ...], random_state: np.random.RandomState
) -> np.ndarray:
    """Draw standard normal numbers, in float64; see ``kernels.normal``.

    Points of two uniform numbers are drawn one after the other, none more than needed;
    each that is kept gives two normal numbers, of which an odd size drops the last.
    """
    normals = np.empty(shape)
    flat = normals.reshape(-1)
    filled = 0
    while filled < flat.size:
        n_missing = (flat.size - filled + 1) // 2
        points = uniform((n_missing, 2), 1.0, random_state)
        filled = fill_normal(flat, filled, points)
    return normals


def orthogonal(n: int, random_state: np.random.RandomState) -> np.ndarray:
    """Draw an (n, n) matrix uniformly from the orthogonal ones, in float64.

    The orthogonal factor of a matrix of standard normal numbers; see
    ``kernels.orthogonal``.  A recurrent product with such a matrix changes no vector's
    length, forward or backward.

    References
    ----------
    .. [1] Saxe, McClelland & Ganguli (2013), "Exact solutions to the nonlinear dynamics
       of learning in deep linear neural networks", arXiv:1312.6120.
    """
    q = np.empty((n, n))
    inplace_orthogonal_factor(q, standard_normal((n, n), random_state))
    return q


# -- the parameters of a GRU -----------------------------------------------------------

_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _draw_uniform(
    kind: str, shape: tuple[int, ...], random_state: np.random.RandomState
) -> np.ndarray:
    """Draw one parameter as ``torch.nn.GRU`` does."""
    hidden_size = shape[0] // 3
    return uniform(shape, 1.0 / np.sqrt(hidden_size), random_state)


def _draw_glorot_orthogonal(
    kind: str, shape: tuple[int, ...], random_state: np.random.RandomState
) -> np.ndarray:
    """Draw one parameter gate by gate, in the order r, z, n; biases are 0."""
    hidden_size = shape[0] // 3
    if kind == "weight_ih":
        gate = (hidden_size, shape[1])
        return np.concatenate([glorot_uniform(gate, random_state) for _ in range(3)])
    if kind == "weight_hh":
        return np.concatenate([orthogonal(hidden_size, random_state) for _ in range(3)])
    return np.zeros(shape)


_DRAWS = {"uniform": _draw_uniform, "glorot_orthogonal": _draw_glorot_orthogonal}
NAMES = tuple(_DRAWS)


def check_initializer(value: Any) -> str:
    """Return the name of an initialiser of a GRU, or say why it is none."""
    choices = " or ".join(repr(name) for name in _DRAWS)
    if not isinstance(value, str):
        raise TypeError(
            f"initializer must be {choices}, got {value!r} "
            f"of type {type(value).__name__}"
        )
    if value not in _DRAWS:
        raise ValueError(f"initializer must be {choices}, got {value!r}")
    return value


def draw_gru(
    shapes: Mapping[str, tuple[int, ...]],
    initializer: str,
    random_state: np.random.RandomState,
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw the parameters of GRU layers, one after the other.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Names that begin with ``weight_ih``, ``weight_hh``, ``bias_ih`` or ``bias_hh``,
        and PyTorch's shapes: (3H, I), (3H, H), (3H,), (3H,).
    initializer : {"uniform", "glorot_orthogonal"}
        "uniform": every parameter uniform in plus or minus ``1 / sqrt(H)``, as
        ``torch.nn.GRU``.  "glorot_orthogonal": input weights by ``glorot_uniform``,
        recurrent weights by ``orthogonal``, each gate's matrix by itself, biases 0.
    random_state : RandomState instance
        It moves on while the result is iterated over.

    Returns
    -------
    iterator of (str, ndarray)
        Name and float64 values of each parameter, in the mapping's order.

    Raises
    ------
    TypeError, ValueError
        If ``initializer`` is not a name of one, or the name of a parameter begins
        otherwise.

    Notes
    -----
    Keras' defaults have the same names and mean something else, since it draws the
    matrices of the three gates as one.  Its limit for the input weights is
    ``sqrt(6 / (I + 3H))``; its (H, 3H) recurrent weights have orthonormal rows, so that
    no gate's own matrix is orthogonal: the squared lengths of a state's three products
    add up to that of the state, a third for each gate.  Both papers reason about the
    matrix between one layer of units and the next, its fans and its singular values; in
    a GRU that is the matrix of one gate.
    """
    draw = _DRAWS[check_initializer(initializer)]
    kinds = {name: _kind(name) for name in shapes}
    return (
        (name, draw(kinds[name], shape, random_state)) for name, shape in shapes.items()
    )


def _kind(name: str) -> str:
    """Return which parameter of a GRU a name belongs to, whatever its suffix."""
    for kind in _KINDS:
        if name.startswith(kind):
            return kind
    raise ValueError(
        f"parameters of a GRU have names that begin with one of {_KINDS}, got {name!r}"
    )
