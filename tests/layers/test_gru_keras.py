"""Keras's GRU layers on PyTorch, forward and gradients, as an oracle of the layer.

In float32 only: Keras multiplies matrices in it even where its layers are of float64.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, LENGTHS, assert_close_results, ragged_lengths
from keras_models import draw_weights, gradients_of, import_keras, state_dict_of
from tolerances import assert_close

# T, B, I, H, all different from each other but for the first.
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 12, 13, 50)]
ALL_RETURNED = {"return_sequences": True, "return_state": True}
SMALL, SMALL_LENGTHS = (5, 3, 2, 4), np.array([2, 5, 0])

WITH_BIAS = pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no_bias"])


@pytest.fixture(scope="module")
def keras():
    keras = import_keras()
    import torch

    # Its steps are small: threads would only wait for each other, and long on a machine
    # that has other work.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield keras
    torch.set_num_threads(n_threads)


@dataclass(frozen=True)
class Problem:
    """Layers' weights and what one forward and backward pass takes, batch-first."""

    weights: dict  # by what stands behind fastgru's names of them
    reset_after: bool
    x: np.ndarray
    h_0: np.ndarray
    d_output: np.ndarray
    d_h_n: np.ndarray
    lengths: object

    @property
    def hidden_size(self):
        return self.h_0.shape[2]

    @property
    def valid_steps(self):
        """What Keras calls the mask, (B, T)."""
        B, T, _ = self.x.shape
        lengths = np.full(B, T) if self.lengths is None else self.lengths
        return np.arange(T) < lengths[:, np.newaxis]


def make_problem(rng, shape, suffixes, *, reset_after, lengths=None, use_bias=True):
    """Draw a problem for layers and directions of the given suffixes, from below."""
    T, B, input_size, hidden_size = shape
    directions = 1 + any(suffix.endswith("_reverse") for suffix in suffixes)
    weights = {
        suffix: draw_weights(
            rng,
            input_size if "_l0" in suffix else directions * hidden_size,
            hidden_size,
            reset_after=reset_after,
            use_bias=use_bias,
        )
        for suffix in suffixes
    }

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    problem = Problem(
        weights=weights,
        reset_after=reset_after,
        x=draw(B, T, input_size),
        h_0=draw(len(suffixes), B, hidden_size),
        d_output=draw(B, T, directions * hidden_size),
        d_h_n=draw(len(suffixes), B, hidden_size),
        lengths=ragged_lengths(rng, T, B) if isinstance(lengths, str) else lengths,
    )
    # Keras's output past a row's end is of no interest.
    return replace(
        problem, d_output=problem.d_output * problem.valid_steps[:, :, np.newaxis]
    )


def make_fastgru(problem):
    """Build fastgru's layer with the weights of a problem."""
    suffixes = list(problem.weights)
    bidirectional = any(suffix.endswith("_reverse") for suffix in suffixes)
    gru = fastgru.GRU(
        problem.x.shape[2],
        problem.hidden_size,
        num_layers=len(suffixes) // (1 + bidirectional),
        bias=len(problem.weights[suffixes[0]]) == 3,
        batch_first=True,
        bidirectional=bidirectional,
        reset_after=problem.reset_after,
    )
    state = {}
    for suffix, weights in problem.weights.items():
        state |= state_dict_of(weights, suffix)
    gru.load_state_dict(state)
    return gru


def run_fastgru(problem):
    """Give fastgru's results by name."""
    output, h_n, pullback = make_fastgru(problem).vjp(
        problem.x, problem.h_0, problem.lengths
    )
    gradients = pullback(problem.d_output, problem.d_h_n)
    return {
        "output": output,
        "h_n": h_n,
        "d_x": gradients.x,
        "d_h_0": gradients.h_0,
        **{f"d_{name}": grad for name, grad in gradients.parameters.items()},
    }


def new_keras(keras, problem, **options):
    """Make Keras's layer of one direction, without weights."""
    return keras.layers.GRU(
        problem.hidden_size,
        reset_after=problem.reset_after,
        use_bias=len(problem.weights["_l0"]) == 3,
        **options,
    )


def make_keras(keras, problem, suffix="_l0", **options):
    """Build Keras's layer of one direction with the weights of a problem."""
    layer = new_keras(keras, problem, **options)
    layer.build(problem.x.shape)
    layer.set_weights(problem.weights[suffix])
    return layer


def make_keras_pair(keras, problem, layer=0, **options):
    """Build Keras's layer of both directions, number ``layer`` from below."""
    pair = keras.layers.Bidirectional(
        new_keras(keras, problem, **options),
        merge_mode="concat",
    )
    forward, backward = (
        problem.weights[f"_l{layer}{direction}"] for direction in ("", "_reverse")
    )
    pair.build((*problem.x.shape[:2], len(forward[0])))
    pair.forward_layer.set_weights(forward)
    pair.backward_layer.set_weights(backward)
    return pair


def run_keras(layers, problem):
    """Give the results of Keras's layers, one upon the other, by fastgru's names.

    Parameters
    ----------
    layers : list of layers
        Each returns its sequence and its states, one or two.
    problem : Problem
    """
    import torch

    x = torch.tensor(problem.x, requires_grad=True)
    h_0 = torch.tensor(problem.h_0, requires_grad=True)
    mask = None if problem.lengths is None else torch.tensor(problem.valid_steps)
    output, states = x, []
    for layer, initial in zip(layers, h_0.chunk(len(layers)), strict=True):
        output, *final = layer(output, initial_state=list(initial), mask=mask)
        states += final
    h_n = torch.stack(states)
    torch.autograd.backward(
        [output, h_n], [torch.tensor(problem.d_output), torch.tensor(problem.d_h_n)]
    )
    results = {
        "output": output.detach().numpy(),
        "h_n": h_n.detach().numpy(),
        "d_x": x.grad.numpy(),
        "d_h_0": h_0.grad.numpy(),
    }
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    for suffix, weights in problem.weights.items():
        own, variables = variables[: len(weights)], variables[len(weights) :]
        gradients = gradients_of([v.value.grad.numpy() for v in own], suffix)
        results |= {f"d_{name}": gradient for name, gradient in gradients.items()}
    assert not variables
    return results


@LENGTHS
@WITH_BIAS
@BOTH_CELLS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_keras(keras, shape, reset_after, use_bias, lengths, rng):
    problem = make_problem(
        rng,
        shape,
        ["_l0"],
        reset_after=reset_after,
        use_bias=use_bias,
        lengths=lengths,
    )
    layer = make_keras(keras, problem, **ALL_RETURNED, zero_output_for_mask=True)
    assert_close_results(run_fastgru(problem), run_keras([layer], problem), np.float32)


@LENGTHS
@BOTH_CELLS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_bidirectional_layers_agree_with_keras(
    keras, shape, reset_after, lengths, rng
):
    problem = make_problem(
        rng,
        shape,
        ["_l0", "_l0_reverse", "_l1", "_l1_reverse"],
        reset_after=reset_after,
        lengths=lengths,
    )
    # With return_sequences the wrapper itself asks for zeros past a row's end.
    layers = [
        make_keras_pair(keras, problem, layer, **ALL_RETURNED) for layer in (0, 1)
    ]
    assert_close_results(run_fastgru(problem), run_keras(layers, problem), np.float32)


@BOTH_CELLS
def test_valid_steps_agree_where_keras_repeats_the_last(keras, reset_after, rng):
    problem = make_problem(
        rng, SMALL, ["_l0"], reset_after=reset_after, lengths=SMALL_LENGTHS
    )
    layer = make_keras(keras, problem, **ALL_RETURNED)
    expected = run_keras([layer], problem)
    past_the_end = ~problem.valid_steps
    assert np.any(expected["output"][past_the_end] != 0)
    expected["output"] = np.where(past_the_end[:, :, np.newaxis], 0, expected["output"])
    assert_close_results(run_fastgru(problem), expected, np.float32)


@pytest.mark.parametrize(
    "lengths", [None, SMALL_LENGTHS], ids=["full_length", "ragged"]
)
@BOTH_CELLS
def test_final_states_are_what_keras_returns_by_default(
    keras, reset_after, lengths, rng
):
    suffixes = ["_l0", "_l0_reverse"]
    problem = make_problem(
        rng, SMALL, suffixes, reset_after=reset_after, lengths=lengths
    )
    mask = None if lengths is None else problem.valid_steps
    _, h_n = make_fastgru(problem)(problem.x, lengths=lengths)
    single = make_keras(keras, problem)
    pair = make_keras_pair(keras, problem)
    for layer, actual in [(single, h_n[0]), (pair, np.concatenate(h_n, axis=1))]:
        expected = layer(problem.x, mask=mask).detach().numpy()
        assert_close(layer.name, actual, expected, np.float32)


@BOTH_CELLS
def test_going_backwards_is_reading_the_reversed_input(keras, reset_after, rng):
    problem = make_problem(rng, SMALL, ["_l0"], reset_after=reset_after)
    layer = make_keras(keras, problem, **ALL_RETURNED, go_backwards=True)
    expected = run_keras([layer], problem)
    results = run_fastgru(replace(problem, x=problem.x[:, ::-1]))
    results["d_x"] = results["d_x"][:, ::-1]
    assert_close_results(results, expected, np.float32)


@BOTH_CELLS
def test_going_backwards_under_a_mask_is_the_reverse_direction(keras, reset_after, rng):
    suffixes = ["_l0", "_l0_reverse"]
    both = make_problem(
        rng, SMALL, suffixes, reset_after=reset_after, lengths=SMALL_LENGTHS
    )
    layer = make_keras(
        keras,
        both,
        "_l0_reverse",
        **ALL_RETURNED,
        go_backwards=True,
        zero_output_for_mask=True,
    )
    expected, state = (
        tensor.detach().numpy()
        for tensor in layer(both.x, initial_state=both.h_0[1], mask=both.valid_steps)
    )
    output, h_n = make_fastgru(both)(both.x, both.h_0, both.lengths)
    H = both.hidden_size
    assert_close("output", output[:, :, H:], expected[:, ::-1], np.float32)
    assert_close("h_n", h_n[1], state, np.float32)
