"""How threads share calls, and when calls are made by one thread for a while."""

import numpy as np
import pytest

from fastgru.kernels import sync
from fastgru.kernels.simd import REGISTERS
from fastgru.layers.geometry import Geometry
from fastgru.layers.sharing import Sharing, ThreadTrials


def make_plan(shape, n_threads=2, *, training=False):
    """Return the plan of a call of (B, T, I, H) float32 numbers."""
    batch, n_steps, n_inputs, n_units = shape
    geometry = Geometry.equal(n_steps, batch, batch_first=False)
    return Sharing(n_inputs, n_units, 4).plan(geometry, n_threads, training=training)


@pytest.mark.parametrize(
    ("shape", "training", "n_threads"),
    [
        # Multiply-adds: 3 * 64 * 64 * 2 a row; 82 rows are just above two million.
        ((81, 1, 64, 64), False, 1),
        ((82, 1, 64, 64), False, 2),
        ((82, 1, 64, 64), True, 2),
        # Three times as many, of fewer than eight sequences in training.
        ((7, 34, 64, 64), False, 2),
        ((7, 34, 64, 64), True, 1),
        ((7, 35, 64, 64), True, 2),
        # Of one sequence the products of the inputs, alone.
        ((1, 162, 64, 64), False, 1),
        ((1, 163, 64, 64), False, 2),
        ((1, 163, 64, 64), True, 1),
    ],
)
def test_small_calls_are_not_shared(shape, training, n_threads):
    assert make_plan(shape, training=training).n_threads == n_threads


@pytest.mark.parametrize(
    ("shape", "n_threads", "n_members"),
    [
        ((2, 100, 256, 256), 2, 2),
        ((2, 100, 256, 256), 3, 3),
        ((2, 100, 256, 256), 1, 0),
        ((32, 100, 256, 256), 2, 0),  # sequences enough for the weights
        ((1, 100, 64, 64), 2, 0),  # weights few enough for one core's cache
        ((129, 10, 2000, 2000), 2, 0),  # more sequences than a team takes
    ],
)
def test_weights_too_heavy_for_few_sequences_are_for_a_team(
    shape, n_threads, n_members
):
    assert make_plan(shape, n_threads).n_members == n_members


def test_a_team_has_no_more_members_than_there_are_units_for():
    # A member takes two registers of units or more.
    registers = 64 * 4 // REGISTERS.size
    plan = make_plan((2, 100, 3000, 64), 64)
    assert plan.n_members == (registers // 2 if registers > 3 else 0)


def test_plans_follow_each_calls_threads_and_purpose():
    sharing, geometry = Sharing(64, 64, 4), Geometry.equal(34, 7, batch_first=False)
    for _ in range(2):  # the second time as it was remembered
        for n_threads in (2, 3):
            plan = sharing.plan(geometry, n_threads, training=False)
            assert plan.n_threads == n_threads
            assert sharing.plan(geometry, n_threads, training=True).n_threads == 1


def test_few_plans_are_remembered():
    sharing = Sharing(64, 64, 4)
    for n_steps in range(100, 700):
        geometry = Geometry.equal(n_steps, 64, batch_first=False)
        plan = sharing.plan(geometry, 2, training=False)
        assert plan.patience == n_steps * 64 * 24576 // 2000
    assert len(sharing._plans) <= 256


SHORT, LONG = 4000, 10**6  # a quarter of a call on one thread, in looks


def calls_until_wanted(trials):
    """Count the calls without a team before the next with one."""
    n = 0
    while not trials.wanted():
        n += 1
    return n


@pytest.mark.parametrize(
    ("n_members", "waited", "held_up"),
    [(2, 0, False), (2, 5000, False), (2, 5001, True), (1, 0, True)],
)
def test_a_team_is_held_up_by_late_members_and_long_waits(n_members, waited, held_up):
    team, bounds = np.zeros(16, np.int64), np.zeros(3, np.int64)
    team[0] = 2 + n_members * 2**32  # two came, of whom so many in time
    team[9] = waited
    assert sync.were_held_up(team, bounds, 2500) == held_up


@pytest.mark.parametrize(
    ("n_blocks", "n_late", "late"),
    [(2, 0, False), (2, 1, True), (3, 1, False), (16, 7, False), (16, 8, True)],
)
def test_blocks_are_late_where_half_of_them_are(n_blocks, n_late, late):
    bounds, counts = np.arange(n_blocks + 1), np.zeros(17, np.int64)
    counts[n_blocks] = n_late
    assert sync.were_held_up(counts, bounds, 0) == late


def test_one_call_that_was_held_up_changes_nothing():
    trials = ThreadTrials(1)
    for held_up in (False, True, False, True, False):
        assert trials.wanted()
        trials.report(held_up=held_up, patience=SHORT)
    assert trials.wanted()


def test_held_up_again_and_again_few_calls_try_several_threads():
    trials = ThreadTrials(1)
    pauses = []
    for _ in range(6):
        trials.report(held_up=True, patience=SHORT)
        assert trials.wanted()  # it may have woken the others up
        trials.report(held_up=True, patience=SHORT)
        pauses.append(calls_until_wanted(trials))
    assert pauses == [16, 64, 256, 1024, 1024, 1024]


def test_more_calls_in_a_row_may_be_excused():
    trials = ThreadTrials(3)
    pauses = []
    for _ in range(3):
        for _ in range(4):
            assert trials.wanted()
            trials.report(held_up=True, patience=SHORT)
        pauses.append(calls_until_wanted(trials))
    assert pauses == [16, 64, 256]


def test_of_long_calls_fewer_are_made_by_one_thread():
    trials = ThreadTrials(1)
    trials.report(held_up=True, patience=LONG)
    for _ in range(6):
        trials.report(held_up=True, patience=LONG)
        assert calls_until_wanted(trials) == 4


def test_calls_that_go_well_bring_threads_back():
    trials = ThreadTrials(1)
    for _ in range(3):
        for _ in range(2):  # the second in earnest
            trials.report(held_up=True, patience=SHORT)
        calls_until_wanted(trials)
    for _ in range(3):
        trials.report(held_up=False, patience=SHORT)
        assert trials.wanted()
    trials.report(held_up=True, patience=SHORT)  # as at first: one changes nothing
    assert trials.wanted()
