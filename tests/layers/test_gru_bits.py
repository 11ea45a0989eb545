"""The same bits, whatever a row's batch, the threads or the memory it comes in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    LENGTHS,
    assert_same_results,
    batch_first_twin,
    drawn_cases,
    make_case,
    named_gradients,
    num_threads,
    run_layer,
    take_rows,
    valid_steps,
)
from tolerances import assert_same_bits

# Enough work for each of two threads, in as many different cuts.
SHAPES_FOR_THREADS = [
    (20, 64, 32, 64),
    (13, 37, 13, 50),
    (3, 300, 5, 17),
    (100, 1, 64, 128),
    (50, 3, 16, 32),
    (9, 16, 50, 257),
]


# -- the same bits --


@given(case=drawn_cases(np.float32) | drawn_cases(np.float64))
def test_inference_gives_the_bits_of_vjp(case):
    output, h_n = case.gru(case.x, case.h_0, case.lengths)
    results = run_layer(case)
    assert_same_bits("output", output, results["output"])
    assert_same_bits("h_n", h_n, results["h_n"])


@given(case=drawn_cases(np.float32) | drawn_cases(np.float64), data=st.data())
def test_a_row_does_not_depend_on_its_batch(case, data):
    # Rows in any order, some of them twice, behind as little padding as they need.
    B = case.x.shape[1]
    rows = data.draw(st.lists(st.integers(0, B - 1), min_size=1, max_size=B))
    steps = max(1, valid_steps(case)[:, rows].sum(axis=0).max())
    whole, part = run_layer(case), run_layer(take_rows(case, rows, steps))
    for name in ("output", "d_x"):
        assert_same_bits(name, part[name], whole[name][:steps, rows])
        assert not np.any(whole[name][steps:, rows])
    for name in ("h_n", "d_h_0"):
        assert_same_bits(name, part[name], whole[name][:, rows])


@BOTH_CELLS
@BOTH_DTYPES
def test_each_row_alone_gives_its_bits_in_the_batch(dtype, reset_after):
    case = make_case(
        (7, 37, 13, 50), dtype=dtype, reset_after=reset_after, lengths="ragged"
    )
    whole = run_layer(case)
    for row in range(37):
        alone = run_layer(take_rows(case, [row]))
        for name in ("output", "h_n", "d_x", "d_h_0"):
            assert_same_bits(f"{name} of {row}", alone[name], whole[name][:, [row]])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", SHAPES_FOR_THREADS, ids=str)
@pytest.mark.usefixtures("two_threads")
def test_results_do_not_depend_on_the_number_of_threads(
    shape, lengths, dtype, reset_after
):
    case = make_case(shape, reset_after=reset_after, dtype=dtype, lengths=lengths)
    results = {}
    for n in (1, 2):
        with num_threads(n):
            results[n] = run_layer(case)
            output, h_n = case.gru(case.x, case.h_0, case.lengths)
        assert_same_bits(f"output on {n}", output, results[n]["output"])
        assert_same_bits(f"h_n on {n}", h_n, results[n]["h_n"])
    assert_same_results(results[2], results[1])


@pytest.mark.usefixtures("two_threads")
def test_a_call_leaves_the_number_of_threads_alone():
    case = make_case((20, 64, 32, 64), dtype=np.float32)
    for n in (1, 2):
        with num_threads(n):
            run_layer(case)
            assert fastgru.get_num_threads() == n


@given(case=drawn_cases(np.float32) | drawn_cases(np.float64))
def test_batch_first_gives_the_same_bits(case):
    twin = batch_first_twin(case)
    results = run_layer(twin)
    for name in ("output", "d_x"):
        results[name] = results[name].swapaxes(0, 1)
    assert_same_results(results, run_layer(case))
    output, h_n = twin.gru(twin.x, twin.h_0, twin.lengths)
    assert_same_bits("output", output.swapaxes(0, 1), results["output"])
    assert_same_bits("h_n", h_n, results["h_n"])


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_without_batch_axis_gives_the_same_bits(
    batch_first, dtype, reset_after
):
    case = make_case((11, 1, 13, 17), dtype=dtype, reset_after=reset_after)
    gru = batch_first_twin(case).gru if batch_first else case.gru
    results = run_layer(
        case.but(
            gru=gru,
            x=case.x[:, 0],
            h_0=case.h_0[:, 0],
            d_output=case.d_output[:, 0],
            d_h_n=case.d_h_n[:, 0],
        )
    )
    expected = run_layer(case)
    for name in ("output", "h_n", "d_x", "d_h_0"):
        expected[name] = expected[name][:, 0]
    assert_same_results(results, expected)
    output, h_n = gru(case.x[:, 0], case.h_0[:, 0])
    assert_same_bits("output", output, expected["output"])
    assert_same_bits("h_n", h_n, expected["h_n"])


@BOTH_CELLS
@BOTH_DTYPES
def test_what_is_left_out_means_zeros_and_full_length(dtype, reset_after):
    case = make_case((6, 5, 3, 17), dtype=dtype, reset_after=reset_after)
    B = case.x.shape[1]
    explicit = case.but(h_0=np.zeros_like(case.h_0), lengths=np.full(B, 6))
    assert_same_results(run_layer(case.but(h_0=None)), run_layer(explicit))

    zeros = np.zeros_like(case.d_output)
    assert_same_results(
        run_layer(case.but(d_output=None)), run_layer(case.but(d_output=zeros))
    )
    zeros = np.zeros_like(case.d_h_n)
    assert_same_results(
        run_layer(case.but(d_h_n=None)), run_layer(case.but(d_h_n=zeros))
    )
    _, _, pullback = case.gru.vjp(case.x)
    assert_same_results(
        named_gradients(pullback(case.d_output)),
        run_layer(case.but(h_0=None, d_h_n=None)),
    )


# -- arrays of the caller --


def _sliced(array):
    wider = np.full([2 * n for n in array.shape], np.nan, array.dtype)
    view = wider[tuple([slice(None, None, 2)] * array.ndim)]
    view[...] = array
    return view


def _reversed(array):
    return np.flip(np.flip(array).copy())


def _axes_reversed(array):
    return array.T.copy().T


def _batch_and_time_swapped(array):
    return array.swapaxes(0, 1).copy().swapaxes(0, 1)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = memory.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize(
    "layout",
    [
        _sliced,
        _reversed,
        _axes_reversed,
        _batch_and_time_swapped,
        _read_only,
        _unaligned,
    ],
)
def test_memory_layout_does_not_matter(layout, dtype, reset_after):
    plain = make_case(
        (6, 13, 5, 17), dtype=dtype, reset_after=reset_after, lengths="ragged"
    )
    names = ("x", "h_0", "d_output", "d_h_n")
    case = plain.but(**{name: layout(getattr(plain, name)) for name in names})
    plain_results = run_layer(plain)
    assert_same_results(run_layer(case), plain_results)
    output, h_n = case.gru(case.x, case.h_0, case.lengths)
    assert_same_bits("output", output, plain_results["output"])
    assert_same_bits("h_n", h_n, plain_results["h_n"])


@BOTH_DTYPES
def test_broadcast_arrays_are_taken(dtype):
    plain = make_case((6, 13, 5, 17), dtype=dtype)
    names = ("x", "h_0", "d_output", "d_h_n")
    views = {}
    for name in names:
        array = getattr(plain, name)
        views[name] = np.broadcast_to(array[:1, :1], array.shape)
    copies = {name: view.copy() for name, view in views.items()}
    assert_same_results(run_layer(plain.but(**views)), run_layer(plain.but(**copies)))


@BOTH_CELLS
@LENGTHS
def test_arrays_of_the_caller_are_left_alone(lengths, reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after, lengths=lengths)
    names = ["x", "h_0", "d_output", "d_h_n"] + ([] if lengths is None else ["lengths"])
    before = {name: getattr(case, name).copy() for name in names}
    run_layer(case)
    case.gru(case.x, case.h_0, case.lengths)
    for name in names:
        assert_same_bits(name, getattr(case, name), before[name])


@BOTH_CELLS
@LENGTHS
@pytest.mark.parametrize("B", [1, 13])
def test_changing_arrays_after_vjp_does_not_change_gradients(B, lengths, reset_after):
    case = make_case((6, B, 5, 17), reset_after=reset_after, lengths=lengths)
    expected = run_layer(case)
    x, h_0 = case.x.copy(), case.h_0.copy()
    row_lengths = None if lengths is None else case.lengths.copy()
    output, h_n, pullback = case.gru.vjp(x, h_0, row_lengths)
    for array in (x, h_0, output, h_n, row_lengths):
        if array is not None and array.flags.writeable:
            array[...] = 1
    gradients = named_gradients(pullback(case.d_output, case.d_h_n))
    assert_same_results(gradients, expected)
