"""The same bits, whatever a row's batch, the threads or the memory it comes in."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import (
    ANY_CASE,
    BOTH_CELLS,
    BOTH_DTYPES,
    EACH_STACK,
    LENGTHS,
    OF_ROWS,
    STACKS,
    about,
    assert_same_results,
    batch_first_twin,
    drawn_cases,
    make_case,
    named_gradients,
    num_threads,
    poisoned_memory,
    run_inference,
    run_layer,
    take_rows,
    time_major,
    valid_steps,
)
from children import PACKAGE, run_python
from fastgru.kernels import products
from fastgru.kernels.simd import REGISTERS
from fastgru.kernels.weight_sums import worth_keeping
from fastgru.layers import recurrence
from tolerances import assert_same_bits

# Enough work for each of two threads, in as many different cuts.
SHAPES_FOR_THREADS = [
    (20, 64, 32, 64),
    (13, 37, 13, 50),
    (3, 300, 5, 17),
    (100, 1, 64, 128),
    (41, 1, 5, 17),
    (30, 1, 70, 19),
    (50, 3, 16, 32),
    (30, 7, 13, 50),
    (9, 16, 50, 257),
]
# Few steps, whose first may fill blocks of a sum over rows, and more.
FEW_STEPS = [(1, 1, 6, 136), (1, 300, 3, 17), (2, 300, 5, 40), (3, 70, 20, 33)]
MORE_STEPS = [(9, 130, 4, 24), (20, 260, 3, 9)]
# Inputs enough for few units' gates to be computed side by side.
SIDE_BY_SIDE = [(7, 19, 64, 5), (30, 11, 70, 19), (2, 40, 90, 37)]
# Weights of the inputs, or of the states, of more than 6 MiB.
LARGE = [(7, 19, 8001, 66), (3, 17, 3, 731)]


def without_dropout(case):
    """Copy a case so that its results are those of a call."""
    return case.but(dropout_seed=None)


# -- the batch around a row --


@given(case=ANY_CASE)
def test_inference_gives_the_bits_of_vjp(case):
    assert_same_results(run_inference(case), run_layer(without_dropout(case)))


@given(case=ANY_CASE, data=st.data())
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
@pytest.mark.parametrize("kind", [{}, STACKS["dropout"]], ids=["layer", "stack"])
def test_each_row_alone_gives_its_bits_in_the_batch(kind, dtype, reset_after):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": "ragged"}
    case = make_case((7, 37, 13, 50), **options, **kind)
    whole = run_layer(case)
    for row in range(37):
        alone = run_layer(take_rows(case, [row]))
        for name in OF_ROWS:
            assert_same_bits(f"{name} of {row}", alone[name], whole[name][:, [row]])


@BOTH_DTYPES
@pytest.mark.parametrize("largest_cached", [10**12, 0], ids=["cached", "past caches"])
def test_a_long_tape_gives_the_bits_of_a_short_one(largest_cached, dtype, monkeypatch):
    # Whole registers: such an output is written in place, such a tape past the caches.
    case = make_case((110, 64, 1, 32), dtype=dtype)
    part = run_layer(take_rows(case, range(8)))
    monkeypatch.setattr(recurrence, "_LARGEST_CACHED_TAPE", largest_cached)
    whole = run_layer(case)
    assert_same_results(run_inference(case), whole)
    for name in OF_ROWS:
        assert_same_bits(name, part[name], whole[name][:, :8])
    others = run_layer(take_rows(case, range(8, 64)))
    for name in set(whole) - set(OF_ROWS):
        np.testing.assert_allclose(
            part[name] + others[name], whole[name], rtol=1e-3, atol=1e-3, err_msg=name
        )


@given(case=ANY_CASE, n_more=st.integers(1, 7))
def test_padding_does_not_matter(case, n_more):
    T, B, _ = case.x.shape

    def pad(array):
        return np.pad(array, [(0, n_more), (0, 0), (0, 0)], constant_values=np.nan)

    lengths = np.full(B, T) if case.lengths is None else case.lengths
    padded = case.but(x=pad(case.x), d_output=pad(case.d_output), lengths=lengths)
    results, expected = run_layer(padded), run_layer(case)
    for name in ("output", "d_x"):
        assert not np.any(results[name][T:])
        results[name] = results[name][:T]
    assert_same_results(results, expected)


@given(case=ANY_CASE)
def test_all_memory_is_written_before_it_is_read(case):
    expected, inferred = run_layer(case), run_inference(case)
    with poisoned_memory():
        assert_same_results(run_layer(case), expected)
        assert_same_results(run_inference(case), inferred)


@BOTH_CELLS
@LENGTHS
@EACH_STACK
@pytest.mark.parametrize("shape", [(5, 0, 3, 4), (5, 7, 3, 4)], ids=str)
def test_where_there_is_nothing_to_do_all_is_written(
    shape, stack, lengths, reset_after
):
    case = make_case(shape, reset_after=reset_after, **stack)
    if lengths is not None:
        case = case.but(lengths=np.zeros(shape[1], int))
    expected = run_layer(case)
    with poisoned_memory():
        results = run_layer(case)
    assert_same_results(results, expected)
    assert all(np.isfinite(array).all() for array in results.values())


# -- threads --


def assert_threads_do_not_matter(case):
    """Compare all results on 1 thread with those on 2."""
    with num_threads(1):
        expected, inferred = run_layer(case), run_inference(case)
    for in_teams in (False, True):
        with num_threads(2, in_teams=in_teams), about(f"{in_teams=}"):
            assert_same_results(run_layer(case), expected)
            assert_same_results(run_inference(case), inferred)


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", SHAPES_FOR_THREADS, ids=str)
@pytest.mark.usefixtures("two_threads")
def test_results_do_not_depend_on_the_number_of_threads(
    shape, lengths, dtype, reset_after
):
    case = make_case(shape, reset_after=reset_after, dtype=dtype, lengths=lengths)
    assert_threads_do_not_matter(case)


@given(case=ANY_CASE)
@pytest.mark.usefixtures("two_threads")
def test_results_do_not_depend_on_the_number_of_threads_anywhere(case):
    assert_threads_do_not_matter(case)


@BOTH_CELLS
@LENGTHS
@pytest.mark.parametrize("shape", LARGE, ids=["inputs", "states"])
@pytest.mark.usefixtures("two_threads")
def test_weights_too_large_for_the_caches_give_the_same_bits(
    shape, lengths, reset_after
):
    options = {"reset_after": reset_after, "dtype": np.float32, "lengths": lengths}
    case = make_case(shape, **options)
    I, H = shape[2:]
    assert 3 * H * max(I, H) > products._LARGE * REGISTERS.size // 4
    assert_rows_and_threads_do_not_matter(case)


@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", SIDE_BY_SIDE, ids=str)
@pytest.mark.usefixtures("two_threads")
def test_gates_side_by_side_give_the_same_bits(shape, lengths, dtype):
    case = make_case(shape, dtype=dtype, lengths=lengths)
    assert_rows_and_threads_do_not_matter(case)


def assert_rows_and_threads_do_not_matter(case):
    """Check that rows alone give their bits, inference too, however it is shared."""
    assert_threads_do_not_matter(case)
    whole = run_layer(case)
    assert_same_results(run_inference(case), whole)
    for rows in ([0], range(9), [case.x.shape[1] - 1]):
        part = run_layer(take_rows(case, rows))
        for name in OF_ROWS:
            assert_same_bits(f"{name} of {rows}", part[name], whole[name][:, rows])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize(
    "kind",
    [{}, STACKS["3 layers without bias"], STACKS["dropout"]],
    ids=["layer", "no bias", "dropout"],
)
@pytest.mark.parametrize(
    "batch", [11, 37, 130], ids=["blocks of a group", "bundles", "groups"]
)
@pytest.mark.usefixtures("two_threads")
def test_threads_that_share_rows_give_the_same_sums(
    batch, kind, lengths, dtype, reset_after, monkeypatch
):
    answers = []  # whether the weights are few enough

    def answer(*arguments):
        answers.append(worth_keeping(*arguments))
        return answers[-1]

    monkeypatch.setattr(recurrence, "worth_keeping", answer)
    options = {"lengths": lengths, "dtype": dtype, "reset_after": reset_after}
    assert_threads_do_not_matter(make_case((batch, 100, 3, 5), **options, **kind))
    assert True in answers


@pytest.mark.usefixtures("two_threads")
def test_three_threads_give_the_bits_of_one():
    # Numba has as many threads as its process was started with.
    code = """
        import itertools
        import numpy as np
        from cases import STACKS, make_case, named_gradients, num_threads, run_layer

        n_compared = 0
        kinds = [{}, STACKS["dropout"]]
        shapes = [(5, 4, 2, 3), (13, 37, 13, 50), (150, 2, 8, 33), (130, 100, 3, 5)]
        for kind, shape, lengths, dtype, reset_after in itertools.product(
            kinds, shapes, [None, "ragged"], [np.float32, np.float64], [True, False]
        ):
            options = {"lengths": lengths, "dtype": dtype, "reset_after": reset_after}
            case = make_case(shape, **options, **kind)
            with num_threads(1):
                expected = run_layer(case)
            for n, in_teams in itertools.product((2, 3), (False, True)):
                with num_threads(n, in_teams=in_teams):
                    results = run_layer(case)
                for name, array in results.items():
                    same = array.tobytes() == expected[name].tobytes()
                    assert same, f"{name} on {n} threads of {case}, {in_teams=}"
                    n_compared += 1
            for there, back in itertools.permutations((1, 2, 3), 2):
                with num_threads(there):
                    pullback = case.gru.vjp(
                        case.x, case.h_0, case.lengths, **case.options
                    )[2]
                with num_threads(back):
                    gradients = pullback(case.d_output, case.d_h_n)
                for name, array in named_gradients(gradients, case).items():
                    same = array.tobytes() == expected[name].tobytes()
                    assert same, f"{name} of {case}, {there} threads, then {back}"
                    n_compared += 1
        print(n_compared)
    """
    folders = PACKAGE.parent, Path(__file__).parents[1]
    path = os.pathsep.join(map(str, folders))
    printed = run_python(code, PYTHONPATH=path, NUMBA_NUM_THREADS="3")
    assert int(printed) > 1000


@pytest.mark.usefixtures("two_threads")
def test_a_call_leaves_the_number_of_threads_alone():
    case = make_case((20, 64, 32, 64), dtype=np.float32)
    for n in (1, 2):
        with num_threads(n):
            run_layer(case)
            assert fastgru.get_num_threads() == n


# -- other ways to ask for the same --


@given(case=ANY_CASE)
def test_batch_first_gives_the_same_bits(case):
    twin = batch_first_twin(case)
    results = run_layer(twin)
    assert_same_results(time_major(results), run_layer(case))
    inference = run_inference(twin)
    assert inference["output"].shape == results["output"].shape
    assert_same_results(inference, run_layer(without_dropout(twin)))


@given(case=ANY_CASE)
def test_swapped_axes_give_the_bits_of_a_copy(case):
    # What a caller of the other layout has at hand: x.swapaxes(0, 1), not a copy.
    swapped = case.but(
        x=_batch_and_time_swapped(case.x),
        d_output=_batch_and_time_swapped(case.d_output),
    )
    results = run_layer(swapped)
    assert_same_results(results, run_layer(case))
    assert_same_results(run_inference(swapped), run_inference(case))


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("kind", [{}, STACKS["dropout"]], ids=["layer", "stack"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_without_batch_axis_gives_the_same_bits(
    batch_first, kind, dtype, reset_after
):
    case = make_case((11, 1, 13, 17), dtype=dtype, reset_after=reset_after, **kind)
    gru = batch_first_twin(case).gru if batch_first else case.gru
    expected = run_layer(case)
    names = ("x", "h_0", "d_output", "d_h_n")
    alone = case.but(gru=gru, **{name: getattr(case, name)[:, 0] for name in names})
    for name in OF_ROWS:
        expected[name] = expected[name][:, 0]
    assert_same_results(run_layer(alone), expected)
    expected = {name: a[:, 0] for name, a in run_inference(case).items()}
    assert_same_results(run_inference(alone), expected)


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("length", [0, 1, 4, 6])
def test_one_sequence_without_batch_axis_may_have_a_length(length, dtype, reset_after):
    kind = STACKS["2 bidirectional layers"]
    case = make_case((6, 1, 5, 17), dtype=dtype, reset_after=reset_after, **kind)
    case = case.but(lengths=[length])
    names = ("x", "h_0", "d_output", "d_h_n")
    alone = case.but(**{name: getattr(case, name)[:, 0] for name in names})
    expected = run_layer(case)
    for name in OF_ROWS:
        expected[name] = expected[name][:, 0]
    assert_same_results(run_layer(alone), expected)


@given(case=drawn_cases(np.float32, max_directions=1))
def test_steps_one_by_one_give_the_bits_of_the_sequence(case):
    expected, h = run_inference(case.but(lengths=None)), case.h_0
    for t, x_t in enumerate(case.x):
        output, h = case.gru(x_t[np.newaxis], h)
        assert_same_bits(f"output at {t}", output[0], expected["output"][t])
    assert_same_bits("h_n", h, expected["h_n"])


@BOTH_CELLS
@BOTH_DTYPES
@EACH_STACK
def test_what_is_left_out_means_zeros_and_full_length(stack, dtype, reset_after):
    case = make_case((6, 5, 3, 17), dtype=dtype, reset_after=reset_after, **stack)
    B = case.x.shape[1]
    explicit = case.but(
        h_0=np.zeros_like(case.h_0), lengths=np.full(B, 6), sequence_ids=np.arange(B)
    )
    assert_same_results(run_layer(case.but(h_0=None)), run_layer(explicit))

    zeros = np.zeros_like(case.d_output)
    assert_same_results(
        run_layer(case.but(d_output=None)), run_layer(case.but(d_output=zeros))
    )
    zeros = np.zeros_like(case.d_h_n)
    assert_same_results(
        run_layer(case.but(d_h_n=None)), run_layer(case.but(d_h_n=zeros))
    )
    without = case.but(h_0=None, d_h_n=None)
    _, _, pullback = case.gru.vjp(case.x, **case.options)
    assert_same_results(
        named_gradients(pullback(case.d_output), without), run_layer(without)
    )
    for name, array in run_layer(case.but(d_output=None, d_h_n=None)).items():
        if name not in ("output", "h_n"):
            assert not np.any(array), name


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", FEW_STEPS + MORE_STEPS, ids=str)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_states_of_zeros_left_out_give_the_bits_of_zeros(
    n_threads, shape, lengths, dtype, reset_after
):
    case = make_case(shape, dtype=dtype, reset_after=reset_after, lengths=lengths)
    case = case.but(h_0=np.zeros_like(case.h_0))
    with num_threads(n_threads):
        assert_same_results(run_layer(case.but(h_0=None)), run_layer(case))


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
@LENGTHS
@pytest.mark.parametrize("kind", [{}, STACKS["dropout"]], ids=["layer", "stack"])
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
def test_memory_layout_does_not_matter(layout, kind, lengths, dtype, reset_after):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": lengths}
    plain = make_case((6, 13, 5, 17), **options, **kind)
    names = ("x", "h_0", "d_output", "d_h_n")
    case = plain.but(**{name: layout(getattr(plain, name)) for name in names})
    assert_same_results(run_layer(case), run_layer(plain))
    assert_same_results(run_inference(case), run_inference(plain))


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
@EACH_STACK
def test_arrays_of_the_caller_are_left_alone(stack, lengths, reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after, lengths=lengths, **stack)
    case = case.but(sequence_ids=np.arange(13))
    names = ["x", "h_0", "d_output", "d_h_n", "sequence_ids"]
    names += [] if lengths is None else ["lengths"]
    before = {name: getattr(case, name).copy() for name in names}
    run_layer(case)
    case.gru(case.x, case.h_0, case.lengths)
    for name in names:
        assert_same_bits(name, getattr(case, name), before[name])


@BOTH_CELLS
@LENGTHS
@pytest.mark.parametrize("B", [1, 13])
@pytest.mark.parametrize("kind", [{}, *STACKS.values()], ids=["1 layer", *STACKS])
def test_changing_arrays_after_vjp_does_not_change_gradients(
    kind, B, lengths, reset_after
):
    case = make_case((6, B, 5, 17), reset_after=reset_after, lengths=lengths, **kind)
    expected = run_layer(case)
    x, h_0, ids = case.x.copy(), case.h_0.copy(), np.arange(B)
    row_lengths = None if lengths is None else case.lengths.copy()
    options = {"dropout_seed": case.dropout_seed, "sequence_ids": ids}
    output, h_n, pullback = case.gru.vjp(x, h_0, row_lengths, **options)
    for array in (x, h_0, output, h_n, row_lengths, ids):
        if array is not None and array.flags.writeable:
            array[...] = 1
    gradients = named_gradients(pullback(case.d_output, case.d_h_n), case)
    assert_same_results(gradients, expected)
