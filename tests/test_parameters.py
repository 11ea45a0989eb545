"""Named views of one flat vector."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.parameters import ParameterSet, RowMajor
from tolerances import assert_same_bits

SHAPES = {
    "gru.weight": (6, 2),
    "gru.bias": (6,),
    "dense.weight": (3, 4),
    "dense.bias": (3,),
}


@pytest.fixture
def parameters():
    """Give a set with the numbers 0, 1, 2, ... in its flat vector."""
    parameters = ParameterSet(SHAPES, np.float64)
    parameters.flat[...] = np.arange(33)
    return parameters


def arrays_like(parameters, rng):
    """Draw an array for each name."""
    return {name: rng.standard_normal(parameters[name].shape) for name in parameters}


@BOTH_DTYPES
def test_names_and_shapes(dtype):
    parameters = ParameterSet(SHAPES, dtype)
    assert parameters.dtype == dtype
    assert parameters.flat.shape == (12 + 6 + 12 + 3,)
    assert not parameters.flat.any()
    assert {name: parameters[name].shape for name in parameters} == SHAPES


def test_arrays_stand_one_after_the_other(parameters):
    assert parameters.stored("gru.weight").ravel().tolist() == list(range(12))
    assert parameters["gru.bias"].tolist() == list(range(12, 18))
    assert parameters.stored("dense.weight").ravel().tolist() == list(range(18, 30))
    assert parameters["dense.bias"].tolist() == list(range(30, 33))


def test_stored_is_contiguous_and_transposed(parameters):
    for name in parameters:
        stored = parameters.stored(name)
        assert stored.flags.c_contiguous, name
        assert stored.shape == SHAPES[name][::-1]
        np.testing.assert_array_equal(stored.T, parameters[name])


def test_names_are_views(parameters):
    parameters["gru.weight"][5, 1] = 100
    assert parameters.flat[1 * 6 + 5] == 100
    parameters.flat[30] = 200
    assert parameters["dense.bias"][0] == 200


def test_a_flat_vector_can_be_given():
    flat = np.arange(33.0)
    parameters = ParameterSet(SHAPES, flat.dtype, flat)
    assert parameters.flat is flat


def test_a_row_major_array_is_stored_as_it_is():
    parameters = ParameterSet({"bias": (3,), "table": RowMajor((4, 2))}, np.float32)
    parameters.flat[...] = np.arange(11)
    table = parameters["table"]
    assert table.shape == (4, 2)
    assert table.flags.c_contiguous
    assert table.ravel().tolist() == list(range(3, 11))
    assert np.shares_memory(parameters.stored("table"), table)
    assert parameters.part("ta")["ble"].tolist() == table.tolist()
    assert parameters.like()["table"].flags.c_contiguous


def test_it_is_a_mapping_that_nobody_can_add_to(parameters):
    assert len(parameters) == 4
    assert list(parameters) == list(parameters.keys()) == list(SHAPES)
    assert "gru.bias" in parameters
    assert "other" not in parameters
    assert parameters.get("other") is None
    for (name, array), other in zip(
        parameters.items(), parameters.values(), strict=True
    ):
        np.testing.assert_array_equal(array, parameters[name])
        np.testing.assert_array_equal(array, other)
    assert set({**parameters}) == set(SHAPES)
    with pytest.raises(KeyError):
        parameters["other"]
    with pytest.raises(TypeError):
        parameters["gru.bias"] = np.zeros(6)
    with pytest.raises(TypeError):
        del parameters["gru.bias"]


def test_it_is_equal_to_itself_only(parameters):
    assert parameters == parameters
    assert parameters != parameters.like()
    assert {parameters: 1}[parameters] == 1


@pytest.mark.parametrize("prefix", ["gru.", "dense."])
def test_a_part_shares_its_numbers(parameters, prefix):
    part = parameters.part(prefix)
    assert list(part) == ["weight", "bias"]
    for name in part:
        np.testing.assert_array_equal(part[name], parameters[prefix + name])
    part["bias"][1] = -1
    assert parameters[prefix + "bias"][1] == -1


def test_a_part_that_nobody_has_is_empty(parameters):
    part = parameters.part("other.")
    assert list(part) == []
    assert part.flat.size == 0
    assert part.dtype == parameters.dtype


def test_parts_lie_side_by_side(parameters):
    gru, dense = parameters.part("gru."), parameters.part("dense.")
    together = np.concatenate([gru.flat, dense.flat])
    assert_same_bits("flat", together, parameters.flat)
    gru.flat[...] = -1
    assert (parameters["gru.weight"] == -1).all()
    assert (parameters["dense.weight"] >= 0).all()


def test_like_has_numbers_of_its_own(parameters):
    other = parameters.like()
    assert {name: other[name].shape for name in other} == SHAPES
    assert other.dtype == parameters.dtype
    assert not other.flat.any()
    other.flat[...] = 7
    assert parameters.flat.tolist() == list(range(33))


def test_empty_like_has_numbers_of_its_own_and_any_content(parameters):
    other = parameters.empty_like()
    assert list(other) == list(SHAPES)
    assert {name: other[name].shape for name in other} == SHAPES
    assert other.dtype == parameters.dtype
    other.flat[...] = 7
    assert (other["gru.weight"] == 7).all()
    assert parameters.flat.tolist() == list(range(33))


def test_a_place_is_where_arrays_stand(parameters):
    assert parameters.place(["gru.weight", "gru.bias"]) == slice(0, 18)
    assert parameters.place(["dense.bias"]) == slice(30, 33)


def test_weights_are_the_matrices(parameters):
    marked = parameters.like()
    for stretch in parameters.weights():
        marked.flat[stretch] += 1
    for name in marked:
        assert (marked[name] == name.endswith("weight")).all(), name


def test_copy_out_gives_copies_in_torchs_shapes(parameters):
    arrays = parameters.copy_out()
    for name, array in arrays.items():
        assert array.flags.c_contiguous, name
        assert array.flags.owndata, name
        assert_same_bits(name, array, np.ascontiguousarray(parameters[name]))
        array[...] = -1
    assert parameters.flat.tolist() == list(range(33))


def test_copy_in_sets_every_array(parameters, rng):
    arrays = arrays_like(parameters, rng)
    parameters.copy_in(arrays)
    for name, array in arrays.items():
        assert_same_bits(name, np.ascontiguousarray(parameters[name]), array)


def test_copy_in_takes_any_mapping_in_any_order(parameters, rng):
    arrays = arrays_like(parameters, rng)
    parameters.copy_in({name: arrays[name].tolist() for name in reversed(arrays)})
    for name, array in arrays.items():
        np.testing.assert_array_equal(parameters[name], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dense.bias": None}, r"missing \['dense.bias'\]"),
        ({"other": np.zeros(3)}, r"unexpected \['other'\]"),
        (
            {"dense.bias": np.zeros(4)},
            r"dense.bias must have shape \(3,\), got shape \(4,\)",
        ),
        (
            {"dense.weight": np.zeros((4, 3))},
            r"dense.weight must have shape \(3, 4\), got shape \(4, 3\)",
        ),
        (
            {"dense.bias": np.zeros(3, np.float32)},
            "dense.bias must have dtype float64, got dtype float32",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(parameters, change, message):
    arrays = {name: np.zeros(shape) for name, shape in SHAPES.items()} | change
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        parameters.copy_in(arrays)
    assert parameters.flat.tolist() == list(range(33))


@pytest.mark.parametrize("arrays", [None, [1, 2], np.zeros(33)], ids=repr)
def test_what_is_no_mapping_is_refused(parameters, arrays):
    with pytest.raises(TypeError, match="expected a mapping of names to arrays, got"):
        parameters.copy_in(arrays)
