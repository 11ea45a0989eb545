"""The loop over epochs: what it shows the loss, when it stops and what it keeps."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastgru import GRU, Dense, Network, Pooling
from fastgru.losses import CrossEntropy, SquaredError
from fastgru.optimizers import Adam
from fastgru.sequences import check_sequences
from fastgru.training.penalties import ElasticNet
from fastgru.training.samples import Samples
from fastgru.training.schedules import LearningRate
from fastgru.training.trainer import Trainer
from tolerances import assert_close, assert_same_bits

N_SAMPLES = 12
MAX_ITER = 6

ignore_convergence = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


def make_samples(targets=None, n=N_SAMPLES, dtype="float64"):
    """Draw sequences of unequal lengths; targets are class numbers by default."""
    rng = np.random.default_rng(5)
    X = [rng.standard_normal((length, 2)) for length in rng.integers(1, 7, n)]
    sequences = check_sequences(X, dtype=dtype, estimator_name="Test")
    targets = np.arange(n) % 3 if targets is None else targets
    return Samples(sequences, targets, np.ones(n))


def make_trainer(loss=None, **changes):
    """Make a trainer of a small network; each call gives the same one."""
    common = {"dtype": np.float64, "random_state": np.random.RandomState(1)}
    network = Network([GRU(2, 5, **common), Pooling("last"), Dense(5, 3, **common)])
    settings = {
        "batch_size": 5,
        "max_iter": MAX_ITER,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "max_norm": None,
        "random_state": np.random.RandomState(2),
        "score": None,
        "n_threads": 1,
        "verbose": False,
        "name": "Learner",
    }
    make_optimizer = changes.pop("optimizer", lambda network: Adam(network, 0.05))
    penalty = ElasticNet(changes.pop("alpha", 0.0))
    settings |= {"penalty": penalty, "learning_rate": LearningRate("constant", 0.05)}
    return Trainer(
        network, loss or CrossEntropy(), make_optimizer(network), **settings | changes
    )


def flat_after(n_epochs, **changes):
    """Give the parameters after some epochs of an undisturbed training."""
    trainer = make_trainer(max_iter=n_epochs, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        trainer.fit(make_samples())
    return trainer.network._parameters.flat.copy()


class Script:
    """A loss that plays back the mean losses of epochs of one batch each."""

    def __init__(self, losses):
        self.losses = iter(losses)

    def __call__(self, outputs, targets, weights):
        return next(self.losses), np.zeros_like(outputs)


class Recorder:
    """A loss that notes which targets it was shown."""

    def __init__(self, loss):
        self.loss = loss
        self.batches = []

    def __call__(self, outputs, targets, weights):
        self.batches.append(targets.ravel().tolist())
        return self.loss(outputs, targets, weights)


class Gradients:
    """An optimiser that notes gradients and changes nothing."""

    def __init__(self):
        self.seen = []

    def step(self, gradients):
        self.seen.append(gradients.flat.copy())


class Disturbed:
    """A loss that does something else at one of its calls (from 1 on)."""

    def __init__(self, call, disturb):
        self.call, self.disturb, self.n_calls = call, disturb, 0

    def __call__(self, outputs, targets, weights):
        self.n_calls += 1
        loss, d_outputs = CrossEntropy()(outputs, targets, weights)
        if self.n_calls == self.call:
            loss = self.disturb(loss)
        return loss, d_outputs


def interrupt(loss):
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


# -- minibatches --


@ignore_convergence
def test_each_epoch_shows_each_sample_once_in_a_new_order():
    loss = Recorder(SquaredError())
    targets = np.repeat(np.arange(N_SAMPLES, dtype=np.float64)[:, np.newaxis], 3, 1)
    make_trainer(loss, max_iter=3).fit(make_samples(targets))
    shown = [list(batch[::3]) for batch in loss.batches]
    assert [len(batch) for batch in shown] == [5, 5, 2] * 3
    epochs = [sum(shown[i : i + 3], []) for i in (0, 3, 6)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(N_SAMPLES))
    assert epochs[0] != epochs[1] != epochs[2]


@ignore_convergence
def test_without_generator_the_order_is_kept():
    loss = Recorder(CrossEntropy())
    make_trainer(loss, max_iter=2, random_state=None).fit(make_samples())
    numbers = (np.arange(N_SAMPLES) % 3).tolist()
    assert loss.batches == [numbers[:5], numbers[5:10], numbers[10:]] * 2


def test_the_loss_goes_down():
    trainer = make_trainer(max_iter=60)
    with pytest.warns(ConvergenceWarning):
        history = trainer.fit(make_samples())
    assert len(history.losses) == 60
    assert history.losses[0] == pytest.approx(np.log(3), abs=0.2)
    assert history.losses[-1] < 0.3
    assert history.best_loss == min(history.losses)
    assert history.scores == []


@ignore_convergence
def test_the_same_seeds_give_the_same_bits():
    assert_same_bits("parameters", flat_after(4), flat_after(4))


# -- what is added to gradients, and what limits them --


@ignore_convergence
def test_the_penalty_is_on_weights_only():
    optimizer = Gradients()
    trainer = make_trainer(
        Script([1.5] * 3), alpha=0.3, optimizer=lambda _: optimizer, max_iter=1
    )
    parameters = trainer.network._parameters
    before = parameters.copy_out()
    history = trainer.fit(make_samples())
    for gradient, n in zip(optimizer.seen, (5, 5, 2), strict=True):
        by_name = parameters.like()
        by_name.flat[...] = gradient
        for name, array in by_name.copy_out().items():
            penalised = "weight" in name
            expected = 0.3 / n * before[name] if penalised else 0 * before[name]
            assert_close(name, array, expected, np.float64)
    squares = sum(np.sum(w**2) for name, w in before.items() if "weight" in name)
    expected = 1.5 + 3 * 0.5 * 0.3 * squares / N_SAMPLES
    assert history.losses == [pytest.approx(expected, rel=1e-12)]


@ignore_convergence
def test_the_norm_of_each_minibatchs_gradient_is_limited():
    seen = {}
    for max_norm in (None, 0.1):
        optimizer = Gradients()
        make_trainer(
            optimizer=lambda _, seen=optimizer: seen, max_norm=max_norm, max_iter=1
        ).fit(make_samples())
        seen[max_norm] = optimizer.seen
    for free, limited in zip(seen[None], seen[0.1], strict=True):
        norm = np.linalg.norm(free)
        assert norm > 0.1
        assert_close("gradients", limited, 0.1 / norm * free, np.float64)


# -- when it stops --


def n_epochs_of_mlp(values, *, tol, n_iter_no_change, scores):
    """Count the epochs after which scikit-learn's MLPClassifier would stop."""
    best, unchanged = (-np.inf if scores else np.inf), 0
    for n, value in enumerate(values, start=1):
        worse = value < best + tol if scores else value > best - tol
        unchanged = unchanged + 1 if worse else 0
        best = max(best, value) if scores else min(best, value)
        if unchanged > n_iter_no_change:
            return n
    return None


@pytest.mark.parametrize(
    ("losses", "tol", "n_iter_no_change", "n_epochs"),
    [
        # Equal to the best within tol is no change; one more than n_iter_no_change.
        ([5.0, 4, 4, 4, 4, 4, 4], 0.1, 2, 5),
        ([5.0, 4, 4.5, 4, 3, 3, 3, 3, 3], 0.1, 2, 8),
        # An improvement by less than tol counts as none, though the best follows it.
        ([5.0, 4.75, 4.5, 4.25, 4, 3.75], 0.5, 2, 4),
        # An improvement by exactly tol counts.
        ([5.0, 4.5, 4, 3.5, 3.5, 3.5, 3.5], 0.5, 1, 6),
        # Without tol, equal is as good as better.
        ([5.0, 5, 5, 5, 5], 0.0, 1, None),
        ([5.0, 6, 7, 8, 9], 0.0, 1, 3),
        ([5.0, 6, 7, 8, 9], 0.0, np.inf, None),
    ],
)
def test_it_stops_by_the_loss_as_mlpclassifier_does(
    losses, tol, n_iter_no_change, n_epochs
):
    rule = {"tol": tol, "n_iter_no_change": n_iter_no_change}
    assert n_epochs_of_mlp(losses, scores=False, **rule) == n_epochs
    trainer = make_trainer(Script(losses), batch_size=50, max_iter=len(losses), **rule)
    if n_epochs is None:
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            history = trainer.fit(make_samples())
    else:
        history = trainer.fit(make_samples())  # a warning would be an error
    assert history.losses == pytest.approx(losses[:n_epochs])
    assert history.best_loss == pytest.approx(min(losses[:n_epochs]))


@pytest.mark.parametrize(
    ("scores", "tol", "n_iter_no_change", "n_epochs"),
    [
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.6], 0.01, 2, 5),
        ([0.5, 0.55, 0.6, 0.65, 0.7], 0.1, 2, 4),
        ([0.5, 0.75, 1.0, 1.0, 1.0], 0.25, 1, 5),
        ([-3.0, -4, -5, -6], 0.0, 1, 3),
        ([0.5, 0.5, 0.5, 0.5], 0.0, 1, None),
    ],
)
def test_it_stops_by_the_score_as_mlpclassifier_does(
    scores, tol, n_iter_no_change, n_epochs
):
    rule = {"tol": tol, "n_iter_no_change": n_iter_no_change}
    assert n_epochs_of_mlp(scores, scores=True, **rule) == n_epochs
    played = iter(scores)
    # The loss gets worse all the time, and does not matter.
    trainer = make_trainer(
        Script(range(1, 100)),
        batch_size=50,
        max_iter=len(scores),
        score=lambda: next(played),
        **rule,
    )
    if n_epochs is None:
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            history = trainer.fit(make_samples())
    else:
        history = trainer.fit(make_samples())
    assert history.scores == scores[:n_epochs]
    assert history.best_score == max(scores[:n_epochs])


def test_max_iter_is_named_in_the_warning():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(6\) reached"):
        make_trainer().fit(make_samples())


# -- what it keeps --


@pytest.mark.parametrize(
    "scores", [[1, 5, 3, 2, 4, 0], [1, 5, 5, 2, 5, 0], [9, 1, 1, 1, 1, 1]], ids=str
)
@ignore_convergence
def test_with_a_score_the_first_of_the_best_epochs_is_kept(scores):
    trainer = make_trainer(score=iter(scores).__next__)
    history = trainer.fit(make_samples())
    assert history.best_score == max(scores)
    expected = flat_after(1 + scores.index(max(scores)))
    assert_same_bits("parameters", trainer.network._parameters.flat, expected)


@ignore_convergence
def test_the_score_sees_each_epochs_parameters_and_the_network_the_kept_ones():
    samples = make_samples()
    values, lengths = samples.sequences.take(slice(None))
    seen = []

    def score():
        seen.append(trainer.network.outputs(values, lengths, 1))
        return -abs(len(seen) - 3)

    trainer = make_trainer(score=score)
    trainer.fit(samples)
    assert len(seen) == MAX_ITER
    assert not np.array_equal(seen[2], seen[3])
    outputs = trainer.network.outputs(values, lengths, 1)
    assert_same_bits("outputs", outputs, seen[2])


@ignore_convergence
def test_without_a_score_the_last_epoch_is_kept():
    # The loss of the middle epoch is the best, and does not matter.
    losses = [3.0, 2, 1, 2, 3, 4]
    trainer = make_trainer(Script(losses), alpha=1.0, batch_size=50)
    history = trainer.fit(make_samples())
    assert len(history.losses) == 6
    other = make_trainer(Script(losses), alpha=1.0, batch_size=50, max_iter=3)
    other.fit(make_samples())
    kept, early = (t.network._parameters.flat for t in (trainer, other))
    assert not np.array_equal(kept, early)


# -- interruptions and divergence; an epoch has three minibatches --


@pytest.mark.parametrize("call", [4, 5, 6, 7, 12])
def test_ctrl_c_keeps_the_last_finished_epoch(call):
    n_epochs = (call - 1) // 3
    trainer = make_trainer(Disturbed(call, interrupt))
    message = f"Learner was interrupted in epoch {n_epochs + 1}; .* {n_epochs} finished"
    with pytest.warns(UserWarning, match=message):
        history = trainer.fit(make_samples())
    assert len(history.losses) == n_epochs
    expected = flat_after(n_epochs)
    assert_same_bits("parameters", trainer.network._parameters.flat, expected)
    values, lengths = make_samples().sequences.take(slice(None))
    reference = make_trainer().network
    reference._parameters.flat[...] = expected
    reference._pack()
    assert_same_bits(
        "outputs",
        trainer.network.outputs(values, lengths, 1),
        reference.outputs(values, lengths, 1),
    )


@pytest.mark.parametrize("call", [1, 2, 3])
def test_ctrl_c_in_the_first_epoch_is_raised(call):
    with pytest.raises(KeyboardInterrupt):
        make_trainer(Disturbed(call, interrupt)).fit(make_samples())


def test_ctrl_c_with_a_score_keeps_the_best_epoch():
    scores = iter([1, 3, 2, 4])
    trainer = make_trainer(Disturbed(10, interrupt), score=scores.__next__)
    with pytest.warns(UserWarning, match="keeps the best of 3 finished epochs"):
        history = trainer.fit(make_samples())
    assert history.scores == [1, 3, 2]
    assert_same_bits("parameters", trainer.network._parameters.flat, flat_after(2))


def test_ctrl_c_during_the_score_drops_that_epoch():
    scores = iter([1, 3])

    def score():
        try:
            return next(scores)
        except StopIteration:
            raise KeyboardInterrupt from None

    trainer = make_trainer(score=score)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        history = trainer.fit(make_samples())
    assert len(history.losses) == len(history.scores) == 2
    assert_same_bits("parameters", trainer.network._parameters.flat, flat_after(2))


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("call", [4, 8])
def test_a_loss_that_is_not_finite_ends_training_with_a_warning(call, bad):
    trainer = make_trainer(Disturbed(call, lambda loss: bad))
    message = r"diverged.*learning_rate_init.*clip_norm\. It keeps the last of"
    with pytest.warns(ConvergenceWarning, match=message):
        history = trainer.fit(make_samples())
    n_epochs = (call - 1) // 3
    assert len(history.losses) == n_epochs
    assert_same_bits(
        "parameters", trainer.network._parameters.flat, flat_after(n_epochs)
    )


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_loss_that_is_not_finite_in_the_first_epoch_is_an_error(bad):
    trainer = make_trainer(Disturbed(2, lambda loss: bad))
    with pytest.raises(ValueError, match="Learner: training diverged"):
        trainer.fit(make_samples())


@pytest.mark.parametrize("call", [4, 5, 6])
def test_a_gradient_that_is_not_finite_ends_training_too(call):
    class Bad(Disturbed):
        def __call__(self, *arguments):
            loss, d_outputs = super().__call__(*arguments)
            if self.n_calls == self.call:
                d_outputs[0, 0] = np.nan
            return loss, d_outputs

    trainer = make_trainer(Bad(call, lambda loss: loss))
    with pytest.warns(ConvergenceWarning, match="diverged"):
        trainer.fit(make_samples())
    assert_same_bits("parameters", trainer.network._parameters.flat, flat_after(1))


class Spoiling(Adam):
    """An optimiser that leaves a parameter that is not finite at one of its steps."""

    def __init__(self, network, call):
        super().__init__(network, 0.05)
        self.network, self.call, self.n_calls = network, call, 0

    def step(self, gradients):
        super().step(gradients)
        self.n_calls += 1
        if self.n_calls == self.call:
            self.network._parameters.flat[-1] = np.inf


@pytest.mark.parametrize("call", [4, 5, 6])
def test_parameters_that_are_not_finite_are_not_kept(call):
    # After the last step of an epoch no loss has seen them yet.
    trainer = make_trainer(optimizer=lambda network: Spoiling(network, call))
    with pytest.warns(ConvergenceWarning, match="diverged"):
        trainer.fit(make_samples())
    assert_same_bits("parameters", trainer.network._parameters.flat, flat_after(1))


@pytest.mark.parametrize("call", [1, 2, 3])
def test_parameters_that_are_not_finite_in_the_first_epoch_are_an_error(call):
    with pytest.raises(ValueError, match="diverged"):
        make_trainer(optimizer=lambda network: Spoiling(network, call)).fit(
            make_samples()
        )


# -- progress --


@ignore_convergence
@pytest.mark.parametrize("score", [None, lambda: 0.5], ids=["loss", "score"])
def test_the_progress_bar(score, capsys):
    make_trainer(Script([1.25] * 99), score=score, verbose=True).fit(make_samples())
    printed, shown = capsys.readouterr()
    assert printed == ""
    for text in ("Learner: 100%", "6/6", "epoch", "loss=1.25"):
        assert text in shown
    assert ("score=0.5" in shown) is (score is not None)


@ignore_convergence
def test_no_progress_bar_without_verbose(capsys):
    make_trainer().fit(make_samples())
    assert capsys.readouterr() == ("", "")
