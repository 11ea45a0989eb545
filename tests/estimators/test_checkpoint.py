"""A fit that was ended goes on, to the bits of one that was not."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.base import clone

from children import start_python
from fastgru import GRUClassifier
from fastgru.training import checkpoint
from problems import classifier, draw_classes, regressor, transformer
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()


class Stop(Exception):
    """What ends a fit in the middle."""


def stop_after(number):
    def callback(epoch):
        if epoch.number == number:
            raise Stop

    return callback


SETTINGS = [
    {},
    {"early_stopping": True, "validation_fraction": 0.3},
    {"dropout": 0.3, "recurrent_dropout": 0.2},
    {"solver": "sgd", "learning_rate": "cosine"},
    {
        "solver": "rmsprop",
        "learning_rate": "adaptive",
        "tol": 1.0,
        "n_iter_no_change": 1,
    },
    {"solver": "adamw", "learning_rate": "invscaling", "l1_ratio": 0.5},
    {"shuffle": False, "learning_rate": "exponential", "dtype": "float64"},
]


@pytest.mark.parametrize("make", [classifier, regressor, transformer])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("number", [1, 3])
def test_it_goes_on_bit_for_bit(make, settings, number, tmp_path):
    path = tmp_path / "fit.safetensors"
    whole = make(max_iter=6, **settings).fit(X, Y)
    parts = make(max_iter=6, checkpoint=path, callbacks=stop_after(number), **settings)
    with pytest.raises(Stop):
        parts.fit(X, Y)
    assert parts.n_iter_ == number
    seen = []
    resumed = make(max_iter=6, checkpoint=path, callbacks=seen.append, **settings)
    resumed.fit(X, Y)
    assert [epoch.number for epoch in seen] == list(range(number + 1, 7))
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.validation_scores_ == whole.validation_scores_
    flat, expected = (e._network._parameters.flat for e in (resumed, whole))
    assert_same_bits("parameters", flat, expected)
    assert os.listdir(tmp_path) == ["fit.safetensors"]


def test_a_finished_fit_is_not_done_again(tmp_path):
    path = str(tmp_path / "fit")
    clf = classifier(max_iter=4, checkpoint=path)
    clf.fit(X, Y)
    seen = []
    again = clone(clf).set_params(callbacks=seen.append).fit(X, Y)
    assert seen == []
    assert_same_bits("proba", again.predict_proba(X), clf.predict_proba(X))
    more = clone(clf).set_params(max_iter=6).fit(X, Y)
    assert more.loss_curve_ == classifier(max_iter=6).fit(X, Y).loss_curve_


@pytest.mark.parametrize("random_state", [None, "instance"])
def test_without_a_number_as_random_state(random_state, tmp_path):
    path = tmp_path / "fit"
    settings = {"checkpoint": path, "dropout": 0.2, "early_stopping": True}

    def make(**more):
        state = np.random.RandomState(3) if random_state == "instance" else None
        return classifier(**settings | more | {"random_state": state})

    with pytest.raises(Stop):
        make(max_iter=6, callbacks=stop_after(3)).fit(X, Y)
    first = make(max_iter=6).fit(X, Y)
    second = make(max_iter=6).fit(X, Y)
    assert len(first.loss_curve_) == 6
    assert_same_bits("proba", first.predict_proba(X), second.predict_proba(X))
    # A fit to another file draws other numbers, but from an instance in the same state.
    path.unlink()
    other = make(max_iter=6).fit(X, Y)
    same = other.loss_curve_ == first.loss_curve_
    assert same == (random_state == "instance")


@pytest.mark.parametrize(
    "change",
    [
        lambda clf: clf.set_params(hidden_size=7).fit(X, Y),
        lambda clf: clf.set_params(random_state=1).fit(X, Y),
        lambda clf: clf.set_params(alpha=0.1).fit(X, Y),
        lambda clf: clf.fit([x + 1e-6 for x in X], Y),
        lambda clf: clf.fit(X, 1 - Y),
        lambda clf: clf.fit(X, Y, np.arange(60) + 1),
        lambda clf: clf.fit(X, Y, X_val=X, y_val=Y),
    ],
)
def test_another_fit_is_refused(change, tmp_path):
    path = tmp_path / "fit"
    clf = classifier(max_iter=2, checkpoint=path).fit(X, Y)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="checkpoint of a fit with other parameters"):
        change(clone(clf))
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused_and_left(tmp_path):
    path = tmp_path / "fit"
    clf = classifier(max_iter=2, checkpoint=path).fit(X, Y)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        clone(clf).fit(X, Y)
    assert path.read_bytes() == bytes(content)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        clone(clf).fit(X, Y)


def test_a_write_that_fails_leaves_the_last_file(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    with pytest.raises(Stop):
        classifier(max_iter=6, checkpoint=path, callbacks=stop_after(2)).fit(X, Y)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "write_container", full)
    clf = classifier(max_iter=6, checkpoint=path)
    with pytest.raises(OSError, match="No space"):
        clf.fit(X, Y)
    assert clf.n_iter_ == 3  # the epoch is finished all the same
    assert path.read_bytes() == before


def test_partial_fit_writes_none(tmp_path):
    with pytest.raises(ValueError, match="does not write checkpoints"):
        classifier(checkpoint=tmp_path / "fit").partial_fit(X, Y, classes=[0, 1])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL: not on this system")
def test_a_killed_process_goes_on(tmp_path):
    path = tmp_path / "fit.safetensors"
    code = """
        import sys, warnings
        import numpy as np
        from fastgru import GRUClassifier
        warnings.simplefilter("ignore")
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((100, 20, 3)), np.arange(100) % 2
        GRUClassifier(
            8, max_iter=int(sys.argv[2]), tol=0, n_iter_no_change=10**9,
            random_state=0, checkpoint=sys.argv[1],
        ).fit(X, y)
    """
    with start_python(code, path, 10**8) as child:
        try:
            while not path.exists():
                assert child.poll() is None, child.stderr.read()
                time.sleep(0.05)
            time.sleep(0.3)
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=60)
        finally:
            child.kill()
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((100, 20, 3)), np.arange(100) % 2
    settings = {"tol": 0, "n_iter_no_change": 10**9, "random_state": 0}
    seen = []
    clf = GRUClassifier(
        8,
        max_iter=10**8,
        checkpoint=path,
        callbacks=lambda epoch: seen.append(epoch.number) or True,
        **settings,
    ).fit(Z, y)
    assert seen[0] > 1
    twin = GRUClassifier(8, max_iter=clf.n_iter_, **settings).fit(Z, y)
    assert twin.loss_curve_ == clf.loss_curve_
    assert_same_bits("proba", clf.predict_proba(Z), twin.predict_proba(Z))


@pytest.mark.skipif(os.name != "posix", reason="process ids: only looked at on POSIX")
def test_what_a_killed_fit_left_half_written_is_removed(tmp_path):
    path = tmp_path / "fit.checkpoint"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    left = tmp_path / f".fit.checkpoint.{child.pid}-0123abcd"
    others = [
        tmp_path / f".fit.checkpoint.{os.getpid()}-0123abcd",  # is being written
        tmp_path / f".other.checkpoint.{child.pid}-0123abcd",
        tmp_path / ".fit.checkpoint.backup",
    ]
    for file in (left, *others):
        file.touch()
    classifier(max_iter=2, checkpoint=path).fit(X, Y)
    assert {path, *others} == set(tmp_path.iterdir())
