"""How threads share the calls of a layer: whether, by sequences or as a team.

By size alone a plan follows from a call's shape; what else keeps threads from being
worth their while (other processes, cores that sleep) shows only when they try.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgru._threads import get_num_threads
from fastgru.kernels.gru_states import ROWS_TOGETHER
from fastgru.kernels.simd import REGISTERS
from fastgru.kernels.sync import is_team
from fastgru.layers.geometry import Geometry

# Multiply-adds below which entering a parallel region costs more than it saves.  Of
# fewer sequences than these, training takes thrice as many: a step of half the rows
# takes more than half as long, and threads read what others have just written.  It lies
# between what an EPYC of Zen 4 gains from, 1.5 million, and a Xeon whose cores are
# twice as fast and further apart: 2 to 2.5, or 4 of shared inputs of one sequence.
_SMALLEST_PARALLEL = 2_000_000
_FEW_SEQUENCES = 8
# Registers of units below which a member of a team has too little to do.
_SMALLEST_SHARE = 2
# Bytes of weights for each sequence above which reading them takes a block longer than
# multiplying them, where no core's own cache holds them: then sequences, up to what a
# team takes at once, are for a team, each of whose members reads only the weights of
# its own units.  Weights of two sequences are enough for members not to wait for each
# other longer than they work.
_HEAVIEST_SEQUENCE = 100_000
# Looks, of some 20 nanoseconds, that the first of a team spends on waiting for the
# others: a quarter of the time that one thread would take alone.  Members that wait for
# each other twice as long in all gain nothing by being two.
_PATIENCE_PER_TERM = 1 / 2000
# Plans that are remembered; batches of unequal lengths have few sizes in common.
_MOST_PLANS = 256


class Plan(NamedTuple):
    """How a call of some size is to be shared."""

    n_threads: int  # 1 where the work is too small to share
    # Threads that share the units of all sequences as a team, or 0: they share the
    # sequences.
    n_members: int
    patience: int  # looks that the first of a team spends on waiting for the others

    def has_team(self, bounds: np.ndarray) -> bool:
        """Whether a team shares the call, and not blocks with these bounds."""
        # The usual call, which has none, need not look.
        return self.n_members > 0 and bool(is_team(bounds))


_ALONE = Plan(1, 0, 0)


class Sharing:
    """Decides for one direction of one layer.

    Parameters
    ----------
    input_size, hidden_size : int
    itemsize : int
        Bytes of a number.
    """

    def __init__(self, input_size: int, hidden_size: int, itemsize: int) -> None:
        # Multiply-adds per step of a forward pass, those with padding included.
        self._registers_of_units = -(-hidden_size * itemsize // REGISTERS.size)
        padded_units = self._registers_of_units * REGISTERS.size // itemsize
        self._input_terms_per_row = 3 * padded_units * input_size
        self._terms_per_row = self._input_terms_per_row + 3 * padded_units * hidden_size
        self._itemsize = itemsize
        self._plans: dict[tuple[int, int, int, bool], Plan] = {}
        # A late thread costs blocks no more than that it is waited for at their end.
        self._team_trials, self._block_trials = ThreadTrials(1), ThreadTrials(3)

    def plan(
        self, geometry: Geometry, n_threads: int | None, *, training: bool
    ) -> Plan:
        """Return how a call is to be shared.

        n_threads : at most so many; None means what ``get_num_threads`` says
        """
        smallest = _SMALLEST_PARALLEL
        if training and geometry.batch < _FEW_SEQUENCES:
            smallest *= 3
        if geometry.n_rows * self._terms_per_row <= smallest:
            return _ALONE  # first, for calls of microseconds
        n_threads = get_num_threads() if n_threads is None else n_threads
        key = geometry.batch, geometry.n_rows, n_threads, training
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(*key)
        return plan

    def _make_plan(
        self, batch: int, n_rows: int, n_threads: int, training: bool
    ) -> Plan:
        n_members = self._count_members(batch, n_threads)
        if n_members == 0 and batch == 1 and not training:
            # Only the products of its inputs can be shared.
            if n_rows * self._input_terms_per_row <= _SMALLEST_PARALLEL:
                return _ALONE
        patience = int(n_rows * self._terms_per_row * _PATIENCE_PER_TERM)
        return Plan(n_threads, n_members, patience)

    def _count_members(self, batch: int, n_threads: int) -> int:
        """Return how many threads should share the units of so many sequences.

        It is 0, and they share the sequences instead, unless each of their blocks would
        fetch the weights from far away for too few of them.
        """
        n_blocks = max(1, min(n_threads, batch))
        idle = -batch % n_blocks  # places that the smaller blocks leave empty
        heaviest = max(batch - idle, 2) * _HEAVIEST_SEQUENCE
        if self._terms_per_row * self._itemsize <= heaviest or batch > ROWS_TOGETHER:
            return 0
        n_members = min(n_threads, self._registers_of_units // _SMALLEST_SHARE)
        return n_members if n_members > 1 else 0

    def split(
        self,
        geometry: Geometry,
        plan: Plan,
        granted: int,
        blocks: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return bounds of the threads' blocks of sequences.

        A team shares the units of all of them instead; its bounds are zeros.

        granted : how many threads there are, those of the plan or 1
        blocks : bounds of the blocks of a tape, which several are for a thread each
        """
        if blocks is not None and blocks.size > 2:
            return blocks
        if plan.n_members > 0 and granted > 1 and self._team_trials.wanted():
            return np.zeros(plan.n_members + 1, np.int64)
        n_blocks = max(1, min(granted, geometry.batch))
        if n_blocks > 1 and not self._block_trials.wanted():
            n_blocks = 1
        return geometry.bounds(n_blocks)

    def wants_inputs(self, geometry: Geometry, granted: int) -> bool:
        """Whether to share the products of the inputs of one sequence."""
        n_terms = geometry.n_steps * self._input_terms_per_row
        return (
            geometry.batch == 1
            and granted > 1
            and n_terms > _SMALLEST_PARALLEL
            and self._block_trials.wanted()
        )

    def report(self, plan: Plan, bounds: np.ndarray, held_up: bool) -> None:
        """Take note of whether the threads of a call were held up."""
        if plan.has_team(bounds):
            self._team_trials.report(held_up=held_up, patience=plan.patience)
        elif bounds.size > 2:
            self._block_trials.report(held_up=held_up, patience=plan.patience)


class ThreadTrials:
    """Whether several threads are worth a try for a layer, by how the last ones went.

    Threads that share a call wait for the last of them, so on a machine whose cores are
    busy, or sleep between calls, a call takes as long as the slowest is kept from
    running.  After a few such calls in a row (the first may only have woken the others
    up, which sleep again while one thread makes the calls) some are made by one thread,
    and then more and more of them after each try, so that few of many calls are slow;
    calls that go well undo that step by step.  A long call, of which waking up takes
    but a part, loses less by a try, and more by none: one is enough of a try, and fewer
    are made without.

    Parameters
    ----------
    excused : int
        Calls in a row that may be held up before it counts.
    """

    _FEWEST, _MOST, _FACTOR = 16, 1024, 4
    # Looks, a quarter of the time that calls of one thread may take: a third of a
    # second.
    _MOST_LOOKS = 2**22
    # Looks that waking up takes, where the core was given to others: two milliseconds.
    _LOOKS_TO_WAKE = 100_000

    def __init__(self, excused: int) -> None:
        self._excused = excused
        self._calls_without = 0
        self._next = self._FEWEST
        self._held_up = 0  # calls in a row

    def wanted(self) -> bool:
        """Whether the next call should try several threads."""
        self._calls_without -= 1
        return self._calls_without < 0

    def report(self, *, held_up: bool, patience: int) -> None:
        """Take note of how several threads' call went.

        patience : looks that a quarter of the call would take on one thread
        """
        if not held_up:
            self._next = max(self._next // self._FACTOR, self._FEWEST)
            self._held_up = 0
            return
        self._held_up += 1
        may_wake = self._next == self._FEWEST or patience < self._LOOKS_TO_WAKE
        if self._held_up > (self._excused if may_wake else 0):
            self._held_up = 0
            most = self._MOST_LOOKS // max(1, patience)
            self._calls_without = max(1, min(self._next, most))
            self._next = min(self._next * self._FACTOR, self._MOST)
