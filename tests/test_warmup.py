"""Compiling ahead: afterwards nothing that users call compiles anything."""

import pytest

import fastgru
from children import run_python
from fastgru.cli import main

# Everything there is, in a process with a cache of its own.
WARM_UP = """
    import importlib
    import pkgutil
    import fastgru
    import fastgru.kernels
    compiled = fastgru.warmup(verbose=False)
    again = fastgru.warmup(verbose=False)
    for module in pkgutil.iter_modules(fastgru.kernels.__path__):
        importlib.import_module(f"fastgru.kernels.{module.name}")
    from fastgru._jit._cache import _caches
    without = [c._py_func.__name__ for c in _caches if not c.current_keys()]
    print(len(compiled), again, without)
"""
# What users do, in another process with that cache.
USE = """
    import io
    import warnings
    import numpy as np
    import fastgru
    from fastgru._jit import listening
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 40, 5))
    ragged = [x[: 10 + i % 20] for i, x in enumerate(X)]
    few = {"max_iter": 2, "random_state": 0}
    with listening() as compiled:
        for classifier in (
            fastgru.GRUClassifier(50, reset_after=False, **few),
            fastgru.GRUClassifier((20, 9), bidirectional=True, dropout=0.2, **few),
            fastgru.GRUClassifier(9, early_stopping=True, batch_size=7, **few),
            fastgru.GRUClassifier(9, solver="adamw", pooling="attention", **few),
        ):
            for data in (X, ragged):
                classifier.fit(data, np.arange(90) % 2)
                classifier.predict_log_proba(data)
                classifier.predict(data[:1])
        classifier.set_params(pooling="mean").fit(X, np.arange(90) % 3)
        stream = classifier.stream()
        stream.predict_proba(X[0, 0])
        regressor = fastgru.GRURegressor(9, loss="huber", **few).fit(X, X[:, 0])
        regressor.predict(X)
        fastgru.GRUTransformer(9, **few).fit(X).transform(X)
        labels = (rng.normal(size=(90, 4)) > 0).astype(int)
        fastgru.GRUClassifier(9, **few).fit(X, labels).predict_proba(X)
        fastgru.GRU(300, 20)(np.zeros((200, 1, 300), np.float32))
        tokens = rng.integers(0, 9, (90, 30))
        words = fastgru.GRUClassifier(9, n_tokens=9, return_sequences=True, **few)
        words.fit(tokens, tokens % 2).predict(tokens)
        for kind in ({}, {"embedding_dim": 5}, {"sampling": "random"}):
            text = fastgru.GRULanguageModel(hidden_size=9, **kind, **few)
            text.fit("abcd" * 99).perplexity("abcd")
            text.generate("ab", 3, temperature=1.0, random_state=0)
        series = 9 + rng.normal(size=(80, 2))
        for kind in (
            {"transform": "seasonal", "log": True},
            {"strategy": "recursive", "num_layers": 2, "loss": "huber"},
            {"transform": "standardize", "early_stopping": True},
        ):
            own = {"hidden_size": 9, "period": 4} | kind | few
            forecaster = fastgru.GRUForecaster(3, **own)
            forecaster.fit(series[:60]).update(series[60:]).predict_interval(0.5)
            forecaster.fit([series[:60]] * 9, exog=[series[:60]] * 9)
            forecaster.predict(exog=[series[60:63]] * 9)
            forecaster.backtest(series, n_windows=2)
    print(compiled)
"""


@pytest.mark.timeout(600)
def test_after_a_warmup_nothing_compiles(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    n_compiled, *found = run_python(WARM_UP, **cache).split(maxsplit=1)
    assert int(n_compiled) > 50
    if fastgru.get_num_threads() > 1:  # parallel ones are compiled where they run
        assert found == ["[] []\n"]
    assert run_python(USE, **cache) == "[]\n"


def test_it_says_what_was_compiled_and_where_it_is(capsys):
    fastgru.warmup("stream", verbose=False)
    assert capsys.readouterr().out == ""
    assert fastgru.warmup(["stream"]) == []
    printed, bar = capsys.readouterr()
    assert "0 functions compiled for stream in float32" in printed
    assert "cache: " in printed
    assert "warmup: " in bar


@pytest.mark.parametrize("purposes", ["training", ["predict", "all"]], ids=str)
def test_an_unknown_purpose_is_refused(purposes):
    with pytest.raises(ValueError, match="must be one of predict, stream, fit, got"):
        fastgru.warmup(purposes)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="dtype"):
        fastgru.warmup("stream", dtype="float16")


def test_the_command_line_takes_purposes_and_dtype(capsys):
    assert main(["warmup", "stream", "--dtype", "float64"]) == 0
    assert "compiled for stream in float64" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["warmup", "training"])
    assert "one of predict, stream, fit, got 'training'" in capsys.readouterr().err
