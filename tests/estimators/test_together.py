"""With the rest of scikit-learn: searches, ensembles, pipelines, copies and files."""

import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from children import run_python
from fastgru import GRUClassifier, SequenceScaler
from problems import classifier, draw_classes, pad, regressor, transformer
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
X_NEW, Y_NEW = draw_classes(seed=1)
FORMS = {"list": X, "padded": pad(X), "array": np.array([x[-3:] for x in X])}
EACH_FORM = pytest.mark.parametrize("form", FORMS)
FEW = {"max_iter": 20}


@EACH_FORM
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(form, n_jobs):
    pipeline = make_pipeline(SequenceScaler(), classifier(**FEW))
    grid = {"gruclassifier__learning_rate_init": [1e-6, 0.02]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(FORMS[form], Y)
    assert search.best_params_ == {"gruclassifier__learning_rate_init": 0.02}
    assert search.best_score_ > 0.8
    assert search.predict(FORMS[form]).shape == (60,)


@EACH_FORM
def test_halving_random_search(form):
    search = HalvingRandomSearchCV(
        classifier(**FEW),
        {"hidden_size": [4, 8, 16], "learning_rate_init": [0.01, 0.02]},
        n_candidates=4,
        min_resources=30,
        cv=3,
        random_state=0,
    ).fit(FORMS[form], Y)
    assert search.best_score_ > 0.6
    by_epochs = HalvingRandomSearchCV(
        classifier(),
        {"hidden_size": [4, 8, 12, 16]},
        n_candidates=4,
        resource="max_iter",
        min_resources=5,
        max_resources=20,
        cv=2,
        random_state=0,
    ).fit(FORMS[form], Y)
    assert by_epochs.best_score_ > 0.6


@EACH_FORM
def test_cross_validation(form):
    scores = cross_val_score(classifier(**FEW), FORMS[form], Y, cv=3)
    assert scores.mean() > 0.8
    proba = cross_val_predict(
        classifier(**FEW), FORMS[form], Y, cv=3, method="predict_proba"
    )
    assert proba.shape == (60, 2)


@EACH_FORM
@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting(form, voting):
    members = [("small", classifier(8, **FEW)), ("large", classifier(16, **FEW))]
    model = VotingClassifier(members, voting=voting).fit(FORMS[form], Y)
    assert model.score(FORMS[form], Y) > 0.8
    numbers = [("small", regressor(8, **FEW)), ("large", regressor(16, **FEW))]
    assert VotingRegressor(numbers).fit(FORMS[form], Y).score(FORMS[form], Y) > 0.5


@EACH_FORM
def test_stacking(form):
    members = [("small", classifier(8, **FEW)), ("large", classifier(16, **FEW))]
    model = StackingClassifier(members, LogisticRegression(), cv=3)
    assert model.fit(FORMS[form], Y).score(FORMS[form], Y) > 0.8
    numbers = [("small", regressor(8, **FEW)), ("large", regressor(16, **FEW))]
    assert StackingRegressor(numbers, cv=3).fit(FORMS[form], Y).predict(
        FORMS[form]
    ).shape == (60,)


@EACH_FORM
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(form, method):
    model = CalibratedClassifierCV(classifier(**FEW), method=method, cv=3)
    model.fit(FORMS[form], Y)
    assert model.predict_proba(FORMS[form]).shape == (60, 2)
    assert model.score(FORMS[form], Y) > 0.8


class Unflatten(TransformerMixin, BaseEstimator):
    """Give rows of numbers the shape of sequences again."""

    def __init__(self, n_features):
        self.n_features = n_features

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X).reshape(len(X), -1, self.n_features)


def test_bagging_of_rows_that_become_sequences():
    array = FORMS["array"]
    member = make_pipeline(Unflatten(2), classifier(**FEW))
    model = BaggingClassifier(member, n_estimators=3, random_state=0)
    flat = array.reshape(len(array), -1)
    assert model.fit(flat, Y).score(flat, Y) > 0.8


def test_bagging_refuses_sequences_themselves():
    with pytest.raises(ValueError, match="dim 3|inhomogeneous|expected"):
        BaggingClassifier(classifier(**FEW)).fit(FORMS["array"], Y)


@EACH_FORM
def test_a_pipeline_of_three(form):
    differences = FunctionTransformer(
        lambda X: [np.diff(x, axis=0, prepend=x[:1]) for x in X]
    )
    first = FORMS[form]
    if form == "padded":
        differences = FunctionTransformer(lambda X: X)
    pipeline = make_pipeline(SequenceScaler(), differences, classifier())
    assert pipeline.fit(first, Y).score(first, Y) > 0.8
    vectors = make_pipeline(SequenceScaler(), transformer(8), LogisticRegression())
    assert vectors.fit(first, Y).score(first, Y) > 0.8


@pytest.mark.parametrize("make", [classifier, regressor, transformer])
def test_joblib_and_skops_give_the_same_bits(make, tmp_path):
    skops_io = pytest.importorskip("skops.io")
    model = make(pooling="attention", max_iter=3).fit(X, Y)
    method = "transform" if make is transformer else "predict"
    expected = getattr(model, method)(X)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert_same_bits("results", getattr(loaded, method)(X), expected)
    skops_io.dump(model, tmp_path / "model.skops")
    unknown = skops_io.get_untrusted_types(file=tmp_path / "model.skops")
    assert all(name.startswith("fastgru.") for name in unknown)
    loaded = skops_io.load(tmp_path / "model.skops", trusted=unknown)
    assert_same_bits("results", getattr(loaded, method)(X), expected)
    assert loaded.get_params() == model.get_params()


def test_clones_keep_all_parameters():
    settings = {
        "hidden_size": (4, 3),
        "dense_sizes": (2,),
        "class_weight": {0: 1.0, 1: 2.0},
        "callbacks": [print],
        "checkpoint": "somewhere",
    }
    assert (
        clone(GRUClassifier(**settings)).get_params()
        == GRUClassifier(**settings).get_params()
    )


def test_workers_of_a_search_use_one_thread_each():
    code = """
        import warnings
        import numpy as np
        from joblib import Parallel, delayed
        from fastgru import GRUClassifier
        from fastgru import _threads

        def used(backend):
            return _threads.resolve_n_jobs(None)

        if __name__ == "__main__":
            for backend in ("loky", "threading", "multiprocessing"):
                found = Parallel(n_jobs=2, backend=backend)(
                    delayed(_threads.resolve_n_jobs)(None) for _ in range(4)
                )
                print(backend, found)
    """
    for line in run_python(code).splitlines():
        assert line.endswith("[1, 1, 1, 1]"), line


def test_a_search_gives_the_bits_of_fits_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(
            classifier(**FEW), {"hidden_size": [4, 8]}, cv=2, n_jobs=2
        ).fit(X, Y)
    alone = classifier(search.best_params_["hidden_size"], **FEW).fit(X, Y)
    assert_same_bits(
        "proba", search.best_estimator_.predict_proba(X_NEW), alone.predict_proba(X_NEW)
    )
