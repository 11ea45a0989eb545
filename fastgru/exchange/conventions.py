"""The two conventions of the update gate: what z = 1 keeps, the old state or the new.

    h' = z * h + (1 - z) * n      Cho et al. 2014 (arXiv:1406.1078), fastgru, PyTorch
    h' = (1 - z) * h + z * n      Chung et al. 2014 (arXiv:1412.3555)

Since 1 - s(a) = s(-a) for the logistic function s, each is the other with the update
gate's weights and biases negated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def negate_update_gate(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert parameters of GRUs from one convention of the update gate to the other.

    For weights of a cell with ``h' = (1 - z) * h + z * n``, as in Chung et al. [1]_ and
    frameworks that follow it, the result makes :class:`~fastgru.GRU`, whose cell has
    ``h' = (1 - z) * n + z * h``, compute the same; and the other way round.

    Parameters
    ----------
    state_dict : mapping of str to array-like
        By PyTorch's names and in its shapes, gates in the order r, z, n: the z rows,
        H to 2H, of every ``weight_ih*``, ``weight_hh*``, ``bias_ih*`` and ``bias_hh*``
        are negated.  What stands before the last dot of a name does not matter; entries
        of other names are only copied.

    Returns
    -------
    dict of str to ndarray
        New arrays of the same names, shapes and dtypes.

    Raises
    ------
    TypeError
        If it is not a mapping, or a parameter of a GRU does not hold numbers that have
        a sign.
    ValueError
        If no name is one of a GRU, or a parameter's rows are not three gates.

    Notes
    -----
    It is its own inverse, to the bit.

    References
    ----------
    .. [1] Chung et al. (2014), "Empirical evaluation of gated recurrent neural networks
       on sequence modeling", arXiv:1412.3555, section 3.2.

    Examples
    --------
    >>> from fastgru import GRU
    >>> from fastgru.exchange import negate_update_gate
    >>> gru = GRU(input_size=3, hidden_size=1, random_state=0)
    >>> before = gru.state_dict()["bias_ih_l0"]
    >>> after = negate_update_gate(gru.state_dict())["bias_ih_l0"]
    >>> (after / before).tolist()
    [1.0, -1.0, 1.0]
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"expected a mapping of names to arrays, got {type(state_dict).__name__}"
        )
    converted = {name: np.asarray(value).copy() for name, value in state_dict.items()}
    names = [name for name in converted if _is_of_gru(name)]
    if not names:
        raise ValueError(
            "expected names of a GRU's parameters, such as 'weight_ih_l0', "
            f"got {list(converted)}"
        )
    for name in names:
        array = converted[name]
        if array.dtype.kind not in "fi":
            raise TypeError(
                f"{name} must hold numbers that have a sign, "
                f"got an array of dtype {array.dtype}"
            )
        if array.ndim == 0 or len(array) % 3 != 0:
            raise ValueError(
                f"{name} must have 3H rows, those of three gates, "
                f"got shape {array.shape}"
            )
        hidden_size = len(array) // 3
        z_rows = array[hidden_size : 2 * hidden_size]
        np.negative(z_rows, out=z_rows)
    return converted


def _is_of_gru(name: str) -> bool:
    return name.rpartition(".")[2].startswith(_PARAMETERS)
