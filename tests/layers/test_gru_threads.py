"""One layer used by several Python threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import fastgru
from cases import (
    BOTH_CELLS,
    LENGTHS,
    STACKS,
    assert_same_results,
    make_case,
    named_gradients,
    num_threads,
    run_inference,
    run_layer,
)
from fastgru.layers import recurrence, sharing

N_PYTHON_THREADS = 8
N_ROUNDS = 6


def run_at_once(work):
    """Call ``work(k)`` in eight threads that start together; raise what they raise."""
    barrier = threading.Barrier(N_PYTHON_THREADS)

    def start(k):
        barrier.wait(timeout=60)
        for _ in range(N_ROUNDS):
            work(k)

    with ThreadPoolExecutor(N_PYTHON_THREADS) as pool:
        list(pool.map(start, range(N_PYTHON_THREADS)))


@BOTH_CELLS
@LENGTHS
@pytest.mark.parametrize(
    "B, n_threads, in_teams",
    [(20, 1, False), (20, 2, False), (3, 2, True)],
    ids=["1 thread", "2 threads", "teams"],
)
@pytest.mark.parametrize("kind", [{}, STACKS["dropout"]], ids=["layer", "stack"])
@pytest.mark.usefixtures("two_threads")
def test_each_thread_gets_what_it_would_get_alone(
    kind, B, n_threads, in_teams, lengths, reset_after
):
    # Sizes differ from thread to thread, and so does the memory they take in turns.
    options = {"reset_after": reset_after, "lengths": lengths, "dtype": np.float32}
    cases = [
        make_case((10 + 2 * k, B, 5, 33), seed=k, **options, **kind)
        for k in range(N_PYTHON_THREADS)
    ]
    cases = [case.but(gru=cases[0].gru) for case in cases]
    expected = [run_layer(case) for case in cases]
    inferred = [run_inference(case) for case in cases]

    def work(k):
        case = cases[k]
        _, _, early = case.gru.vjp(case.x, case.h_0, case.lengths, **case.options)
        assert_same_results(run_layer(case), expected[k])
        assert_same_results(run_inference(case), inferred[k])
        gradients = early(case.d_output, case.d_h_n)
        assert_same_results(named_gradients(gradients, case), expected[k])

    with num_threads(n_threads, in_teams=in_teams):
        run_at_once(work)


def test_a_pullback_may_be_called_by_another_thread():
    case = make_case((6, 13, 5, 17), **STACKS["2 bidirectional layers"])
    expected = run_layer(case)
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    with ThreadPoolExecutor(1) as pool:
        gradients = pool.submit(pullback, case.d_output, case.d_h_n).result()
    assert_same_results(named_gradients(gradients, case), expected)


def test_cells_and_networks_may_be_shared_as_well():
    cell = fastgru.GRUCell(5, 17, random_state=0)
    layers = [fastgru.GRU(5, 17, 2, dropout=0.5), fastgru.Pooling("mean")]
    network = fastgru.Network([*layers, fastgru.Dense(17, 3, activation="tanh")])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N_PYTHON_THREADS, 9, 4, 5)).astype(np.float32)
    lengths = [9, 3, 0, 8]

    def run(k):
        h, cell_pullback = cell.vjp(x[k, 0])
        outputs, pullback = network.vjp(x[k], lengths, dropout_seed=k)
        found = [cell(x[k, 1]), h, outputs, network(x[k], lengths)]
        gradients = pullback(np.ones_like(outputs))
        found += [gradients.x, *gradients.parameters.values()]
        gradients = cell_pullback(np.ones_like(h))
        found += [gradients.x, gradients.h, *gradients.parameters.values()]
        return [array.tobytes() for array in found]

    expected = [run(k) for k in range(N_PYTHON_THREADS)]

    def work(k):
        assert run(k) == expected[k]

    run_at_once(work)


@pytest.mark.parametrize("in_teams", [False, True])
def test_the_tests_share_work_however_small(monkeypatch, in_teams, two_threads):
    """What tests compare with one thread does run on several, of layers made before."""
    gru = fastgru.GRU(3, 32, random_state=0)
    x = np.zeros((2, 8, 3), np.float32)
    called = []
    for name in (
        "gru_inference_parallel",
        "gru_forward_parallel",
        "gru_backward_parallel",
    ):
        kernel = getattr(recurrence, name)

        def run(*arguments, name=name, kernel=kernel):
            called.append(name)
            return kernel(*arguments)

        monkeypatch.setattr(recurrence, name, run)
    with num_threads(2, in_teams=in_teams):
        gru(x)
        output, _, pullback = gru.vjp(x)
        pullback(np.ones_like(output))
    assert len(called) == 3


def test_threads_share_the_inputs_of_one_sequence(monkeypatch, two_threads):
    """The reference and the bits of one sequence are tested elsewhere, with these."""
    gru = fastgru.GRU(4, 17, random_state=0)
    x = np.random.default_rng(0).normal(size=(9, 1, 4)).astype(np.float32)
    expected = gru(x)[0]
    shared = []
    kernel = recurrence.multiply_inputs_parallel

    def run(*arguments):
        shared.append(arguments[-1].tolist())
        return kernel(*arguments)

    monkeypatch.setattr(recurrence, "multiply_inputs_parallel", run)
    with num_threads(2):
        assert gru(x)[0].tobytes() == expected.tobytes()
    assert shared == [[0, 4, 9]]


def have_threads_come_one_after_the_other(monkeypatch):
    """Have each call's first thread be done when the others come; list the calls."""
    called = []
    for name in (
        "gru_inference_parallel",
        "gru_forward_parallel",
        "gru_backward_parallel",
    ):
        kernel = getattr(recurrence, name)

        def run(*arguments, name=name, kernel=kernel):
            n_threads = numba.get_num_threads()
            numba.set_num_threads(1)
            try:
                held_up = kernel(*arguments)
            finally:
                numba.set_num_threads(n_threads)
            called.append(name)
            return held_up

        monkeypatch.setattr(recurrence, name, run)
    return called


@BOTH_CELLS
@LENGTHS
def test_a_thread_does_the_blocks_of_those_that_come_late(
    monkeypatch, lengths, reset_after
):
    case = make_case((10, 8, 5, 33), reset_after=reset_after, lengths=lengths)
    expected = run_layer(case), run_inference(case)
    called = have_threads_come_one_after_the_other(monkeypatch)
    with num_threads(2):
        found = run_layer(case), run_inference(case)
    assert len(called) == 3
    for results, same in zip(found, expected, strict=True):
        assert_same_results(results, same)


@pytest.mark.usefixtures("two_threads")
def test_calls_that_begin_too_late_are_made_by_one_thread(monkeypatch):
    gru = fastgru.GRU(3, 16, random_state=0)
    x = np.zeros((10, 8, 3), np.float32)
    called = have_threads_come_one_after_the_other(monkeypatch)
    monkeypatch.setattr(sharing, "_SMALLEST_PARALLEL", 0)
    before = fastgru.get_num_threads()
    fastgru.set_num_threads(2)
    try:
        for _ in range(4 + 16 + 4 + 64):
            gru(x)
    finally:
        fastgru.set_num_threads(before)
    assert len(called) == 8  # four, and four more after sixteen of one thread
