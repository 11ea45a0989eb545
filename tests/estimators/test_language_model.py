"""The language model: what it learns, what it says of texts, what it refuses."""

import math
import pickle
import re
import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

import fastgru
from cases import BOTH_CELLS, num_threads
from fastgru import GRULanguageModel
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TEXT = "the cat sat on the mat, and the hat sat on the cat. " * 8
SMALL = {
    "hidden_size": 24,
    "num_steps": 7,
    "batch_size": 4,
    "learning_rate_init": 0.01,
    "max_iter": 4,
    "random_state": 0,
}


def make_model(**settings):
    """Make a small model."""
    return GRULanguageModel(**{**SMALL, **settings})


def parameters_of(model):
    """Give all parameters as one vector."""
    return model._network._parameters.flat


def streamed_perplexity(model, tokens):
    """Give the perplexity as a user with a stream computes it."""
    stream = model.stream()
    total = 0.0
    for token, following in zip(tokens[:-1], tokens[1:], strict=True):
        known = following if following in model.vocabulary_ else "<unk>"
        logarithms = stream.predict_log_proba(token)
        total += logarithms[model.vocabulary_.index(known)]
    return math.exp(-total / (len(tokens) - 1))


# -- learning --


@BOTH_CELLS
def test_a_text_is_learned_by_heart(reset_after):
    settings = {"hidden_size": 32, "max_iter": 60, "n_iter_no_change": np.inf}
    model = make_model(reset_after=reset_after, **settings).fit(TEXT)
    assert len(model.loss_curve_) == model.n_iter_ == 60
    assert model.t_ == 60 * (len(TEXT) - 1)
    assert model.loss_curve_[0] > 2.0
    assert model.loss_ < 0.2
    assert model.perplexity(TEXT) < 1.2
    assert model.generate(TEXT[:24], 36) == TEXT[:60]


@pytest.mark.parametrize("stride", [None, 1])
def test_windows_in_random_order_are_learned_as_well(stride):
    model = make_model(sampling="random", stride=stride, max_iter=50 // (stride or 1))
    assert model.fit(TEXT).perplexity(TEXT) < 3.0
    assert model.generate("the c", 3) in ("the cat ", "the cat.")


def test_the_loss_is_that_of_the_untrained_model_at_first():
    """In nats per token: about the logarithm of the number of tokens."""
    model = make_model(max_iter=1, learning_rate_init=1e-9).fit(TEXT)
    assert model.loss_ == pytest.approx(math.log(len(model.vocabulary_)), rel=0.1)
    assert model.loss_ == pytest.approx(math.log(model.perplexity(TEXT)), rel=0.02)


def test_words_and_other_symbols():
    words = make_model(level="word", embedding_dim=5, max_iter=60).fit(TEXT)
    assert words.vocabulary_[:3] == ["<unk>", "the", "sat"]
    assert len(words.vocabulary_) == 9
    assert words.generate("the cat  sat\non", 2) == "the cat sat on the mat,"
    by_list = make_model(embedding_dim=5, max_iter=60).fit(TEXT.split())
    assert_same_bits("parameters", parameters_of(by_list), parameters_of(words))
    assert by_list.generate(["the", "cat"], 2) == ["the", "cat", "sat", "on"]
    numbers = [3, (1, 2), 3, None, 7] * 20
    model = make_model(max_iter=30).fit(numbers)
    assert set(model.vocabulary_[1:]) == {3, (1, 2), None, 7}
    assert model.generate((3, (1, 2)), 4) == [3, (1, 2), 3, None, 7, 3]
    array = np.array([5, 6, 7] * 20)
    assert make_model(max_iter=30).fit(array).generate(array[:2], 2) == [5, 6, 7, 5]


def test_a_tokenizer_takes_the_place_of_the_level():
    pairs = make_model(
        tokenizer=lambda text: [text[k : k + 2] for k in range(0, len(text), 2)],
        max_iter=3,
    )
    pairs.fit("abcdab" * 20)
    assert pairs.vocabulary_ == ["<unk>", "ab", "cd"]
    assert len(pairs.generate("abcd", 3)) == 5
    with pytest.raises(TypeError, match="tokenizer must return a list .* got str"):
        make_model(tokenizer=str.upper).fit(TEXT)


def test_the_vocabulary_is_ordered_and_limited_by_frequency():
    model = make_model(max_iter=1).fit("abbccc" * 10)
    assert model.vocabulary_ == ["<unk>", "c", "b", "a"]
    model = make_model(max_iter=1, min_frequency=20).fit("abbccc" * 10)
    assert model.vocabulary_ == ["<unk>", "c", "b"]
    assert model.n_outputs_ == 3
    marked = make_model(level="word", max_iter=1).fit("a <unk> b a <unk> b " * 5)
    assert marked.vocabulary_ == ["<unk>", "a", "b"]


def test_unknown_tokens_are_taken_for_one():
    model = make_model().fit(TEXT)
    assert_same_bits("?", model.predict_proba("the?"), model.predict_proba("the#"))
    assert (model.predict_proba("the?") != model.predict_proba("thec")).any()
    assert math.isfinite(model.perplexity("the cat? no!"))
    assert model.generate("?", 1).startswith("?")


def test_a_text_of_one_symbol():
    model = make_model().fit("a" * 50)
    assert model.vocabulary_ == ["<unk>", "a"]
    assert model.generate("a", 3) == "aaaa"


# -- what it says of texts --


@BOTH_CELLS
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_layers": 2, "dropout": 0.2, "embedding_dim": 6},
        {"recurrent_dropout": 0.2, "dtype": "float64", "sampling": "random"},
    ],
    ids=str,
)
def test_streamed_answers_are_those_for_the_whole_text(
    settings, reset_after, monkeypatch
):
    model = make_model(reset_after=reset_after, **settings).fit(TEXT)
    text = TEXT[:60] + "unknown: ?" + TEXT[60:100]
    whole = model.perplexity(text)
    assert streamed_perplexity(model, text) == whole
    states = model.hidden_states(text)
    stream, others = model.stream(), model.stream(batch_size=2)
    for t, token in enumerate(text):
        assert_same_bits("state", stream.step(token), states[t])
        probabilities = others.predict_proba([token, "a"])
        if t % 10 == 0:
            expected = model.predict_proba(text[: t + 1])
            assert_same_bits("proba", probabilities[0], expected)
    assert stream.predict("t") == model.predict(text + "t")
    # However small the parts are in which a text is read.
    monkeypatch.setattr("fastgru.estimators._reading._NUMBERS_IN_PART", 200)
    assert model.perplexity(text) == whole
    assert_same_bits("states", model.hidden_states(text), states)


def test_the_score_is_minus_the_bits_per_token():
    model = make_model().fit(TEXT)
    assert model.score(TEXT) == pytest.approx(-math.log2(model.perplexity(TEXT)))
    assert model.score(TEXT) < 0.0
    probabilities = model.predict_proba("the c")
    assert probabilities.shape == (len(model.vocabulary_),)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-6)


class Twin(torch.nn.Module):
    """The same model in PyTorch, one-hot vectors and all."""

    def __init__(self, model):
        super().__init__()
        self.n_tokens = len(model.vocabulary_)
        self.gru = torch.nn.GRU(self.n_tokens, model.hidden_size, model.num_layers)
        self.output = torch.nn.Linear(model.hidden_size, self.n_tokens)
        for name, array in model._network.state_dict().items():
            number, _, own = name.partition(".")
            part = self.gru if number == "1" else self.output
            getattr(part, own).data = torch.from_numpy(array)

    @torch.no_grad()
    def forward(self, tokens, state=None):
        x = torch.nn.functional.one_hot(torch.tensor(tokens), self.n_tokens).float()
        hidden, state = self.gru(x, state)
        return self.output(hidden), state


@pytest.mark.parametrize("num_layers", [1, 2])
def test_generating_is_the_argmax_of_the_same_model_in_pytorch(num_layers):
    model = make_model(num_layers=num_layers, max_iter=6).fit(TEXT)
    twin = Twin(model)
    text = model.generate("the mat", 120)
    assert len(text) == 127
    numbers = [model.vocabulary_.index(letter) for letter in text]
    logits, state = twin(numbers[:7])
    n_compared = 0
    for number in numbers[7:]:
        best, second = logits[-1].sort(descending=True).values[:2]
        if best - second > 1e-4:
            assert int(logits[-1].argmax()) == number
            n_compared += 1
        logits, state = twin([number], state)
    assert n_compared > 110


def test_perplexity_is_that_of_the_same_model_in_pytorch():
    model = make_model(max_iter=6).fit(TEXT)
    numbers = [model.vocabulary_.index(letter) for letter in TEXT[:200]]
    logits, _ = Twin(model)(numbers[:-1])
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(numbers[1:]))
    assert model.perplexity(TEXT[:200]) == pytest.approx(math.exp(loss), rel=1e-5)


def test_drawn_tokens_follow_temperature_and_top_k():
    model = make_model(max_iter=2).fit(TEXT)
    drawn = [model.generate("the ", 30, 1.0, random_state=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    greedy = model.generate("the ", 30)
    assert model.generate("the ", 30, 5.0, top_k=1) == greedy
    assert model.generate("the ", 30, 1e-6, random_state=0) == greedy
    likely = np.argsort(-model.predict_proba("the "), kind="stable")[:3]
    allowed = {"the " + model.vocabulary_[number] for number in likely}
    some = {model.generate("the ", 1, 3.0, 3, random_state=n) for n in range(60)}
    assert some == allowed
    # Often enough, draws are the probabilities.
    state = np.random.RandomState(0)
    letters = [model.generate("the ", 1, 1.0, random_state=state) for _ in range(800)]
    shares = np.array([letters.count("the " + t) for t in model.vocabulary_]) / 800
    assert np.abs(shares - model.predict_proba("the ")).max() < 0.06


# -- fits that are repeated, interrupted, gone on with --


def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads():
    settings = {"hidden_size": 160, "max_iter": 2, "dropout": 0.1, "num_steps": 40}
    model = make_model(n_jobs=1, **settings).fit(TEXT)
    again = make_model(n_jobs=2, **settings).fit(TEXT)
    assert_same_bits("parameters", parameters_of(again), parameters_of(model))
    other = make_model(**settings | {"random_state": 1}).fit(TEXT)
    assert (parameters_of(other) != parameters_of(model)).any()
    found = set()
    for n in (1, 2):
        with num_threads(n):
            found.add((model.perplexity(TEXT), model.generate("t", 9, 1.0, None, 0)))
    assert len(found) == 1


def test_partial_fits_are_the_epochs_of_one_fit():
    whole = make_model(max_iter=3, dropout=0.1).fit(TEXT)
    parts = make_model(max_iter=3, dropout=0.1)
    for _ in range(3):
        parts.partial_fit(TEXT)
    assert_same_bits("parameters", parameters_of(parts), parameters_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    parts.partial_fit("entirely different; the cat?")
    assert parts.vocabulary_ == whole.vocabulary_


def test_a_first_partial_fit_can_be_told_all_tokens():
    model = make_model().partial_fit("abab" * 10, vocabulary="abc")
    assert model.vocabulary_ == ["<unk>", "a", "b", "c"]
    model.partial_fit("cabc" * 10, vocabulary=["c", "b", "a"])
    with pytest.raises(ValueError, match="vocabulary has 2 tokens"):
        model.partial_fit("abab" * 10, vocabulary="ab")


def test_a_warm_start_goes_on():
    model = make_model(warm_start=True).fit(TEXT)
    before = model.loss_
    assert model.fit(TEXT).n_iter_ == 8
    assert model.loss_ < before
    with pytest.raises(ValueError, match="network of other sizes"):
        model.set_params(hidden_size=25).fit(TEXT)


def test_validation_and_early_stopping():
    model = make_model(max_iter=3).fit(TEXT, X_val=TEXT[:99])
    assert len(model.validation_scores_) == 3
    assert model.validation_scores_[-1] == model.score(TEXT[:99])
    stopped = make_model(early_stopping=True, max_iter=300, tol=0.01, random_state=1)
    stopped.fit(TEXT)
    assert stopped.n_iter_ < 300
    n = math.ceil(len(TEXT) * 0.1)
    assert stopped.best_validation_score_ == stopped.score(TEXT[-n:])
    with pytest.raises(ValueError, match="at least 2 tokens to validate on"):
        make_model(early_stopping=True, validation_fraction=0.001).fit(TEXT)


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    file = tmp_path / "checkpoint"
    make_model(max_iter=2, checkpoint=file, tokenizer=list).fit(TEXT)
    # A tokeniser of another process is another object.
    resumed = make_model(max_iter=4, checkpoint=file, tokenizer=lambda text: [*text])
    resumed.fit(TEXT)
    assert_same_bits(
        "parameters", parameters_of(resumed), parameters_of(make_model().fit(TEXT))
    )
    with pytest.raises(ValueError, match="fit with other parameters or data"):
        resumed.fit(TEXT + "!")
    with pytest.raises(ValueError, match="partial_fit does not write checkpoints"):
        resumed.partial_fit(TEXT)


def test_a_callback_stops_and_a_fit_warns_of_its_end():
    model = make_model(max_iter=9, callbacks=lambda epoch: epoch.number == 2)
    assert model.fit(TEXT).n_iter_ == 2
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(4\)"):
        make_model().fit(TEXT)


# -- files and copies --


@pytest.mark.parametrize("settings", [{}, {"level": "word", "embedding_dim": 4}])
def test_files_and_pickles_hold_the_whole_model(settings, tmp_path):
    model = make_model(**settings).fit(TEXT)
    fastgru.save(model, tmp_path / "model.safetensors")
    copies = (
        fastgru.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(model)),
    )
    for copy in copies:
        assert copy.get_params() == model.get_params()
        assert copy.vocabulary_ == model.vocabulary_
        assert copy.loss_curve_ == model.loss_curve_
        assert copy.perplexity(TEXT) == model.perplexity(TEXT)
        assert copy.generate("the", 9, 1.0, None, 0) == model.generate(
            "the", 9, 1.0, None, 0
        )
        copy.partial_fit(TEXT)


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    with pytest.raises(TypeError, match="tokenizer of type .* cannot be saved"):
        fastgru.save(make_model(tokenizer=list).fit(TEXT), file)
    with pytest.raises(TypeError, match="a token of type tuple cannot be saved"):
        fastgru.save(make_model().fit([(1, 2), (3, 4)] * 20), file)
    assert not file.exists()


def test_it_is_an_estimator_of_scikit_learn():
    model = make_model(level="word", stride=2, sampling="random")
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert set(model.get_params()) >= {"level", "num_steps", "tokenizer", "clip_norm"}
    assert repr(model).startswith("GRULanguageModel(batch_size=4")
    fitted = clone(model.fit(TEXT))
    assert not hasattr(fitted, "vocabulary_")
    assert "OneHot" in make_model(max_iter=1).fit(TEXT).summary()


# -- refusals --


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ValueError, "no token occurs"),
        ([], ValueError, "no token occurs"),
        ("abc", ValueError, r"X must have at least 8 tokens \(num_steps \+ 1\), got 3"),
        (None, TypeError, "X must be a text or a sequence of tokens, got NoneType"),
        (12, TypeError, "got int"),
        ({"a": 1}, TypeError, "got dict"),
        ([["a"], ["b"]] * 9, TypeError, "a token must be hashable: .*list"),
        (np.zeros((9, 2), int), ValueError, r"1-D sequence .* shape \(9, 2\)"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_texts_that_cannot_be_learned(text, error, message):
    with pytest.raises(error, match=message):
        make_model().fit(text)


def test_texts_that_a_fitted_model_cannot_read():
    model = make_model(max_iter=1).fit(TEXT)
    for method in (model.predict_proba, model.predict, model.hidden_states):
        with pytest.raises(ValueError, match="X must have at least 1 token, got 0"):
            method("")
    for method in (model.perplexity, model.score):
        with pytest.raises(ValueError, match="X must have at least 2 tokens, got 1"):
            method("a")
    with pytest.raises(ValueError, match="prefix must have at least 1 token, got 0"):
        model.generate("")
    with pytest.raises(TypeError, match="prefix must be a text .* got float"):
        model.generate(1.5)
    with pytest.raises(ValueError, match="X_val must have at least 2 tokens, got 1"):
        model.fit(TEXT, X_val="a")
    with pytest.raises(TypeError, match="hashable"):
        model.stream().step([])
    with pytest.raises(ValueError, match="a token for each of 2 texts, got 3"):
        model.stream(2).step("abc")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_tokens": -1}, ValueError, "n_tokens must be at least 0, got -1"),
        ({"n_tokens": 2.5}, TypeError, "n_tokens must be a whole number"),
        ({"temperature": -0.1}, ValueError, "temperature must be in"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1"),
        ({"random_state": "x"}, TypeError, "random_state must be"),
    ],
    ids=str,
)
def test_arguments_of_generate_are_checked(arguments, error, message):
    model = make_model(max_iter=1).fit(TEXT)
    with pytest.raises(error, match=message):
        model.generate("the", **arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "line"}, "'level' parameter"),
        ({"num_steps": 0}, "'num_steps' parameter"),
        ({"hidden_size": (3, 4)}, "'hidden_size' parameter"),
        ({"sampling": "all"}, "'sampling' parameter"),
        ({"tokenizer": "words"}, "'tokenizer' parameter"),
    ],
    ids=str,
)
def test_parameters_are_checked(settings, message):
    with pytest.raises(InvalidParameterError, match=message):
        make_model(**settings).fit(TEXT)


def test_parameters_are_checked_together():
    with pytest.raises(
        ValueError, match='stride=2 is for windows .* sampling="random"'
    ):
        make_model(stride=2).fit(TEXT)
    with pytest.raises(ValueError, match="stride=8 is larger than num_steps=7"):
        make_model(stride=8, sampling="random").fit(TEXT)
    with pytest.raises(ValueError, match="no token occurs at least min_frequency=999"):
        make_model(min_frequency=999).fit(TEXT)


@pytest.mark.parametrize("method", ["perplexity", "predict_proba", "generate", "score"])
def test_it_must_be_fitted_first(method):
    with pytest.raises(NotFittedError):
        getattr(make_model(), method)(TEXT)
    with pytest.raises(NotFittedError):
        make_model().stream()


# -- memory --


@pytest.mark.parametrize(
    "settings",
    [{}, {"sampling": "random", "stride": 1}],
    ids=str,
)
def test_a_long_text_takes_little_more_memory_than_its_tokens(settings):
    text = "abcdefgh ijklmnop\n" * 280_000  # 5 MB
    model = make_model(hidden_size=8, batch_size=1024, num_steps=32, **settings)

    class Enough(Exception):
        pass

    tracemalloc.start()
    try:
        # The first epoch is not waited for: all is in place after some minibatches.
        with pytest.MonkeyPatch.context() as patch:
            steps = iter(range(20))
            step = fastgru.optimizers.Adam.step

            def limited_step(self, gradients):
                step(self, gradients)
                if next(steps, None) is None:
                    raise Enough

            patch.setattr(fastgru.optimizers.Adam, "step", limited_step)
            with pytest.raises(Enough):
                model.fit(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 4 * len(text) + 50e6


def test_perplexity_of_a_long_text_takes_little_memory():
    model = make_model(max_iter=1).fit(TEXT)
    text = TEXT * 1000
    model.perplexity(text[:5000])
    tracemalloc.start()
    try:
        model.perplexity(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 4 * len(text) + 20e6


# -- the book --


def test_the_time_machine_is_learned(test_data):
    """Its first 3000 letters; benchmarks/text.py does it at full length."""
    text = (test_data / "timemachine.txt").read_text("utf-8")
    text = re.sub("[^A-Za-z]+", " ", text).lower()[:3000]
    model = GRULanguageModel(
        hidden_size=128,
        batch_size=16,
        learning_rate="cosine",  # with a constant one the last epochs go up and down
        learning_rate_init=0.01,
        max_iter=100,
        n_iter_no_change=math.inf,
        n_jobs=1,
        random_state=0,
    )
    model.fit(text)
    assert math.exp(model.loss_) < 1.1
    assert model.perplexity(text) < 1.1
    words = model.generate("time traveller", 60).split()[:-1]
    assert set(words) <= set(text.split())
