"""Optimisers against PyTorch's, scikit-learn's and their formulas; the norm's limit."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import fastgru
from cases import BOTH_DTYPES
from fastgru.optimizers import SGD, Adam, AdamW, RMSprop, clip_norm
from fastgru.parameters import ParameterSet
from tolerances import assert_close, assert_same_bits

STEPS = 20
SHAPES = {"weight": (4, 3), "bias": (5,), "dense.weight": (2, 6), "dense.bias": (2,)}


class Layer:
    """Named parameters, and what an optimiser asks of their owner."""

    def __init__(self, values, dtype=np.float64):
        self._parameters = ParameterSet(SHAPES, dtype)
        self._parameters.copy_in({n: v.astype(dtype) for n, v in values.items()})
        self._pack()

    def _pack(self):
        self.packed = self._parameters.copy_out()


def draw(rng):
    """Draw an array per parameter."""
    return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}


def draw_gradients(rng, dtype=np.float64):
    """Draw gradients per step, of very different sizes."""
    return [
        {
            name: (10.0 ** rng.uniform(-3, 3) * array).astype(dtype)
            for name, array in draw(rng).items()
        }
        for _ in range(STEPS)
    ]


def as_set(arrays, dtype=np.float64):
    """Give arrays as the gradients of a pullback are."""
    gradients = ParameterSet(SHAPES, dtype)
    gradients.copy_in(arrays)
    return gradients


def assert_parameters(layer, expected, tolerance=None):
    """Compare a layer's parameters, packed ones too, with arrays of their names."""
    dtype = layer._parameters.dtype
    for name, array in layer._parameters.copy_out().items():
        assert_close(name, array, np.asarray(expected[name]), dtype, tolerance)
        assert_same_bits(name, layer.packed[name], array)


def make_gru(seed):
    """Make a layer of the package."""
    return fastgru.GRU(3, 4, random_state=seed)


def make_network(seed):
    """Make a network of the package."""
    dense = fastgru.Dense(4, 2, random_state=seed)
    return fastgru.Network([make_gru(seed), fastgru.Pooling("last"), dense])


OPTIMIZERS = {
    "sgd": lambda layer: SGD(layer, 0.01, momentum=0.8, nesterov=False),
    "sgd_nesterov": lambda layer: SGD(layer, 0.01, momentum=0.8),
    "adam": lambda layer: Adam(layer, 0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "adamw": lambda layer: AdamW(
        layer, 0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3, weight_decay=0.3
    ),
    "rmsprop": lambda layer: RMSprop(layer, 0.01, rho=0.8, epsilon=1e-3),
}
EACH = pytest.mark.parametrize("name", OPTIMIZERS)


# -- their steps --


class Formula:
    """The optimisers as their papers have them, for one array in float64."""

    def __init__(self, name, array):
        self.name, self.p, self.t = name, array.copy(), 0
        self.m, self.v = np.zeros_like(array), np.zeros_like(array)

    def step(self, g, rate):
        """Take one step and return the array."""
        self.t += 1
        if self.name.startswith("sgd"):
            self.m = 0.8 * self.m - rate * g
            ahead = 0.8 * self.m - rate * g
            self.p = self.p + (ahead if "nesterov" in self.name else self.m)
        elif self.name == "rmsprop":
            self.v = 0.8 * self.v + 0.2 * g**2
            self.p = self.p - rate * g / (np.sqrt(self.v) + 1e-3)
        else:
            if self.name == "adamw" and self.p.ndim > 1:
                self.p = self.p - rate * 0.3 * self.p
            self.m = 0.8 * self.m + (1 - 0.8) * g
            self.v = 0.95 * self.v + (1 - 0.95) * g**2
            corrected = rate * math.sqrt(1 - 0.95**self.t) / (1 - 0.8**self.t)
            self.p = self.p - corrected * self.m / (np.sqrt(self.v) + 1e-3)
        return self.p


@EACH
@BOTH_DTYPES
def test_steps_are_those_of_the_formulas(dtype, name, rng):
    start = draw(rng)
    layer = Layer(start, dtype)
    optimizer = OPTIMIZERS[name](layer)
    formulas = {n: Formula(name, array) for n, array in start.items()}
    for step, gradients in enumerate(draw_gradients(rng, dtype)):
        optimizer.learning_rate = rate = 0.05 / (1 + step)
        optimizer.step(gradients)
        expected = {n: formulas[n].step(gradients[n], rate) for n in SHAPES}
        assert_parameters(layer, expected, 1e-12 if dtype == np.float64 else None)


def torchs(name, twins):
    """Make PyTorch's optimiser of the same settings."""
    from torch import optim

    tensors = list(twins.values())
    if name.startswith("sgd"):
        nesterov = "nesterov" in name
        return optim.SGD(tensors, lr=0.01, momentum=0.8, nesterov=nesterov)
    if name == "rmsprop":
        return optim.RMSprop(tensors, lr=0.01, alpha=0.8, eps=1e-3)
    if name == "adam":
        return optim.Adam(tensors, lr=0.01, betas=(0.8, 0.95))
    biases = [t for n, t in twins.items() if "bias" in n]
    weights = [t for n, t in twins.items() if "bias" not in n]
    groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
    return optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95), weight_decay=0.3)


@EACH
def test_steps_are_those_of_torch(name, rng):
    # PyTorch and Adam's algorithm 1 add epsilon to the root of the mean square after
    # its bias correction, scikit-learn and the end of the paper's section 2 before it:
    # theirs with epsilon / sqrt(1 - beta_2**t) is ours with epsilon.
    torch = pytest.importorskip("torch")
    start = draw(rng)
    layer = Layer(start)
    twins = {n: torch.tensor(array) for n, array in start.items()}
    ours, theirs = OPTIMIZERS[name](layer), torchs(name, twins)
    for step, gradients in enumerate(draw_gradients(rng), start=1):
        for n, tensor in twins.items():
            tensor.grad = torch.tensor(gradients[n])
        if name.startswith("adam"):
            for group in theirs.param_groups:
                group["eps"] = 1e-3 / math.sqrt(1 - 0.95**step)
        theirs.step()
        ours.step(gradients)
        assert_parameters(layer, {n: t.numpy() for n, t in twins.items()}, 1e-12)


@pytest.mark.parametrize("name", ["sgd", "sgd_nesterov", "adam"])
def test_steps_are_those_of_scikit_learn(name, rng):
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    start = draw(rng)
    layer = Layer(start)
    twins = [array.copy() for array in start.values()]
    ours = OPTIMIZERS[name](layer)
    if name == "adam":
        theirs = module.AdamOptimizer(twins, 0.01, 0.8, 0.95, 1e-3)
    else:
        nesterov = name == "sgd_nesterov"
        theirs = module.SGDOptimizer(twins, 0.01, momentum=0.8, nesterov=nesterov)
    for step, gradients in enumerate(draw_gradients(rng)):
        if name != "adam":
            theirs.learning_rate = ours.learning_rate = 0.02 / (1 + step)
        theirs.update_params(twins, list(gradients.values()))
        ours.step(gradients)
        assert_parameters(layer, dict(zip(SHAPES, twins, strict=True)), 1e-12)


def test_defaults_are_those_of_scikit_learn(rng):
    layer = Layer(draw(rng))
    adam, sgd = Adam(layer), SGD(layer)
    assert repr(adam) == (
        "Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08)"
    )
    assert repr(sgd) == "SGD(learning_rate=0.001, momentum=0.9, nesterov=True)"
    assert (
        repr(RMSprop(layer)) == "RMSprop(learning_rate=0.001, rho=0.9, epsilon=1e-08)"
    )
    assert AdamW(layer).weight_decay == 0.01


@EACH
@BOTH_DTYPES
def test_they_find_a_minimum(dtype, name, rng):
    goal = {n: array.astype(dtype) for n, array in draw(rng).items()}
    layer = Layer(draw(rng), dtype)
    optimizer = OPTIMIZERS[name](layer)
    if name == "adamw":
        optimizer.weight_decay = 0.0
    for step in range(600):
        optimizer.learning_rate = 0.1 / (1 + 0.05 * step)
        now = layer._parameters.copy_out()
        optimizer.step({n: now[n] - goal[n] for n in SHAPES})
    for n, array in layer._parameters.copy_out().items():
        np.testing.assert_allclose(array, goal[n], atol=1e-3)


@EACH
def test_a_parameter_without_gradient_stays(name, rng):
    layer = Layer(draw(rng))
    optimizer = OPTIMIZERS[name](layer)
    if name == "adamw":
        optimizer.weight_decay = 0.0
    before = layer._parameters.flat.copy()
    optimizer.step({n: np.zeros(shape) for n, shape in SHAPES.items()})
    assert_same_bits("parameters", layer._parameters.flat, before)


@EACH
def test_a_gradient_that_is_not_finite_is_applied(name, rng):
    layer = Layer(draw(rng))
    gradients = {n: np.zeros(shape) for n, shape in SHAPES.items()}
    gradients["bias"][2] = np.nan
    OPTIMIZERS[name](layer).step(gradients)
    assert (
        np.isnan(layer._parameters["bias"]).tolist()
        == [False] * 2 + [True] + [False] * 2
    )
    assert np.isfinite(layer._parameters["weight"]).all()


@EACH
@pytest.mark.parametrize("make", [make_gru, make_network])
def test_a_real_layer_computes_with_its_new_parameters(make, name, rng):
    layer, same = make(0), make(1)
    optimizer = OPTIMIZERS[name](layer)
    x = rng.standard_normal((4, 2, 3)).astype(np.float32)
    losses = []
    for _ in range(3):
        (output, *_, pullback) = layer.vjp(x)
        losses.append(np.sum(output**2))
        optimizer.step(pullback(2 * output))
    assert losses[2] < losses[1] < losses[0]
    same.load_state_dict(layer.state_dict())
    assert_same_bits("output", same.vjp(x)[0], layer.vjp(x)[0])


# -- forms of gradients --


@EACH
@BOTH_DTYPES
def test_all_forms_of_gradients_give_the_same_bits(dtype, name, rng):
    start, steps = draw(rng), draw_gradients(rng, dtype)
    forms = {
        "set": lambda arrays: as_set(arrays, dtype),
        "mapping": dict,
        "set in an object": lambda arrays: SimpleNamespace(
            parameters=as_set(arrays, dtype)
        ),
        "mapping in an object": lambda arrays: SimpleNamespace(parameters=arrays),
        "mapping in another order": lambda arrays: dict(reversed(arrays.items())),
        "set in another order": lambda arrays: reordered(arrays, dtype),
        "read-only set": lambda arrays: read_only(as_set(arrays, dtype)),
    }
    results = {}
    for form, convert in forms.items():
        layer = Layer(start, dtype)
        optimizer = OPTIMIZERS[name](layer)
        for arrays in steps:
            optimizer.step(convert(arrays))
        results[form] = layer._parameters.flat
    for form, flat in results.items():
        assert_same_bits(form, flat, results["set"])


def reordered(arrays, dtype):
    """Give arrays as a set whose flat vector has another order."""
    gradients = ParameterSet(dict(reversed(SHAPES.items())), dtype)
    gradients.copy_in(arrays)
    return gradients


def read_only(gradients):
    """Give a set whose flat vector cannot be written to."""
    gradients.flat.flags.writeable = False
    return gradients


def results_of(name, rng):
    """Train a layer anew and give all that comes of it as bytes."""
    layer = Layer(draw(rng), np.float32)
    optimizer = OPTIMIZERS[name](layer)
    for gradients in draw_gradients(rng, np.float32):
        optimizer.step(gradients)
    return layer._parameters.flat.tobytes(), pickle.dumps(optimizer.state_dict())


@EACH
def test_two_runs_give_the_same_bits(name):
    first, second = (results_of(name, np.random.default_rng(3)) for _ in range(2))
    assert first == second


WRONG_GRADIENTS = {
    "missing": (lambda g: g.pop("bias"), r"missing \['bias'\]"),
    "unexpected": (lambda g: g.update(h_0=np.zeros(3)), r"unexpected \['h_0'\]"),
    "shape": (
        lambda g: g.update(weight=np.zeros((3, 4))),
        r"weight must have shape \(4, 3\), got shape \(3, 4\)",
    ),
    "dtype": (
        lambda g: g.update(weight=np.zeros((4, 3), np.float32)),
        "weight must have dtype float64, got dtype float32",
    ),
    "None": (lambda g: g.update(weight=None), r"weight must have shape \(4, 3\)"),
}


@EACH
@pytest.mark.parametrize("wrong", WRONG_GRADIENTS)
def test_gradients_that_do_not_fit_change_nothing(wrong, name, rng):
    spoil, message = WRONG_GRADIENTS[wrong]
    layer = Layer(draw(rng))
    optimizer = OPTIMIZERS[name](layer)
    first, second = draw_gradients(rng)[:2]
    optimizer.step(first)
    parameters, state = layer._parameters.flat.copy(), optimizer.state_dict()
    spoil(second)
    with pytest.raises(ValueError, match=message):
        optimizer.step(second)
    assert_same_bits("parameters", layer._parameters.flat, parameters)
    assert_same_states(optimizer.state_dict(), state)


@EACH
def test_gradients_of_another_layer_are_refused(name, rng):
    optimizer = OPTIMIZERS[name](Layer(draw(rng)))
    with pytest.raises(ValueError, match="got dtype float32"):
        optimizer.step(ParameterSet(SHAPES, np.float32))
    with pytest.raises(ValueError, match="names do not match"):
        optimizer.step(ParameterSet({"weight": (4, 3)}, np.float64))
    with pytest.raises(ValueError, match="weight must have shape"):
        optimizer.step(ParameterSet({**SHAPES, "weight": (3, 4)}, np.float64))


@pytest.mark.parametrize("gradients", [None, 3, np.zeros(31), [np.zeros(31)], "text"])
def test_what_holds_no_gradients_is_refused(gradients, rng):
    message = f"what a pullback returned, .* got {type(gradients).__name__}"
    with pytest.raises(TypeError, match=message):
        Adam(Layer(draw(rng))).step(gradients)
    with pytest.raises(TypeError, match=message):
        clip_norm(gradients, 1.0)


# -- arguments --


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, RMSprop])
def test_only_layers_with_parameters_can_be_trained(optimizer):
    for layer in (None, np.zeros(3), {"weight": np.zeros(3)}, ParameterSet({}, float)):
        with pytest.raises(TypeError, match="layer must be a layer or network"):
            optimizer(layer)
    empty = SimpleNamespace(_parameters=ParameterSet({}, np.float32), _pack=print)
    with pytest.raises(ValueError, match="SimpleNamespace has no parameters"):
        optimizer(empty)


BAD_NUMBERS = {
    "learning_rate": (-1e-3, np.nan, np.inf),
    "momentum": (-0.1, 1.1, np.nan),
    "beta_1": (-0.1, 1.0, np.nan),
    "beta_2": (-0.1, 1.0, np.nan),
    "epsilon": (0.0, -1e-8, np.inf, np.nan),
    "rho": (-0.1, 1.0, np.nan),
    "weight_decay": (-0.1, np.inf, np.nan),
}


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, RMSprop])
def test_numbers_out_of_range_are_refused(optimizer, rng):
    layer = Layer(draw(rng))
    for name in set(optimizer(layer).state_dict()) & set(BAD_NUMBERS):
        for bad in BAD_NUMBERS[name]:
            with pytest.raises(ValueError, match=rf"{name} must be in [\[(]0, .* got"):
                optimizer(layer, **{name: bad})
        for bad in (None, "0.1", True, [0.1]):
            with pytest.raises(TypeError, match=f"{name} must be a number, got"):
                optimizer(layer, **{name: bad})
    with pytest.raises(TypeError, match="nesterov must be True or False"):
        SGD(layer, nesterov=1)


def test_the_ends_of_the_ranges_are_allowed(rng):
    layer = Layer(draw(rng))
    assert SGD(layer, 0, momentum=1).momentum == 1
    assert Adam(layer, np.float32(0.5), beta_1=0, beta_2=0).learning_rate == 0.5
    assert RMSprop(layer, rho=0).rho == 0
    assert AdamW(layer, weight_decay=0).weight_decay == 0


@EACH
def test_the_learning_rate_may_be_set_between_steps(name, rng):
    layer = Layer(draw(rng))
    optimizer = OPTIMIZERS[name](layer)
    for bad in BAD_NUMBERS["learning_rate"]:
        with pytest.raises(ValueError, match="learning_rate must be in"):
            optimizer.learning_rate = bad
    assert optimizer.learning_rate == 0.01
    optimizer.learning_rate = 0
    before = layer._parameters.flat.copy()
    optimizer.step(draw_gradients(rng)[0])
    assert_same_bits("parameters", layer._parameters.flat, before)


# -- their state --


def assert_same_states(actual, expected):
    """Compare two states bit for bit."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert_same_bits(name, actual[name], value)
        else:
            assert actual[name] == value


@EACH
@BOTH_DTYPES
def test_going_on_from_a_state_gives_the_same_bits(dtype, name, rng):
    start, steps = draw(rng), draw_gradients(rng, dtype)
    layer = Layer(start, dtype)
    optimizer = OPTIMIZERS[name](layer)
    optimizer.learning_rate = 0.03
    for gradients in steps[:7]:
        optimizer.step(gradients)
    other = Layer(layer._parameters.copy_out(), dtype)
    follower = type(optimizer)(other)
    follower.step(steps[9])  # whatever it did before is forgotten
    other._parameters.flat[...] = layer._parameters.flat
    follower.load_state_dict(optimizer.state_dict())
    assert repr(follower) == repr(optimizer)
    for gradients in steps[7:]:
        optimizer.step(gradients)
        follower.step(gradients)
    assert_same_bits("parameters", other._parameters.flat, layer._parameters.flat)
    assert_same_states(follower.state_dict(), optimizer.state_dict())


@EACH
def test_a_state_is_plain_and_a_copy(name, rng):
    layer = Layer(draw(rng))
    optimizer = OPTIMIZERS[name](layer)
    first, second = draw_gradients(rng)[:2]
    optimizer.step(first)
    state = optimizer.state_dict()
    kept = {n: np.copy(v) if isinstance(v, np.ndarray) else v for n, v in state.items()}
    for n, value in state.items():
        assert type(value) in (float, bool, np.ndarray), n
        if isinstance(value, np.ndarray):
            assert value.shape == SHAPES[n.partition(".")[2]]
            assert np.any(value)
    optimizer.step(second)
    assert_same_states(state, kept)
    optimizer.load_state_dict(state)
    for value in state.values():
        if isinstance(value, np.ndarray):
            value[...] = 0
    assert_same_states(optimizer.state_dict(), kept)


WRONG_STATES = {
    "missing number": (lambda s: s.pop("beta_1_power"), r"missing \['beta_1_power'\]"),
    "missing setting": (lambda s: s.pop("epsilon"), r"missing \['epsilon'\]"),
    "missing array": (lambda s: s.pop("mean.bias"), r"missing \['mean.bias'\]"),
    "unexpected": (lambda s: s.update(rho=0.9), r"unexpected \['rho'\]"),
    "shape": (
        lambda s: s.update({"square.bias": np.zeros(4)}),
        r"square.bias must have shape \(5,\)",
    ),
    "dtype": (
        lambda s: s.update({"square.bias": np.zeros(5, np.float32)}),
        "square.bias must have dtype float64",
    ),
    "range": (lambda s: s.update(beta_1=1.5), r"beta_1 must be in \[0, 1\)"),
    "power": (
        lambda s: s.update(beta_2_power=2.0),
        r"beta_2_power must be in \[0, 1\]",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_STATES)
def test_a_state_that_does_not_fit_changes_nothing(wrong, rng):
    spoil, message = WRONG_STATES[wrong]
    layer, other = Layer(draw(rng)), Layer(draw(rng))
    optimizer, source = Adam(layer), Adam(other, 0.5, beta_1=0.3)
    first, second = draw_gradients(rng)[:2]
    optimizer.step(first)
    source.step(second)
    before, state = optimizer.state_dict(), source.state_dict()
    spoil(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert_same_states(optimizer.state_dict(), before)


def test_a_state_of_another_kind_is_refused(rng):
    layer = Layer(draw(rng))
    adam, sgd = Adam(layer), SGD(layer)
    with pytest.raises(TypeError, match="expected a mapping .* got list"):
        adam.load_state_dict([1, 2])
    with pytest.raises(ValueError, match=r"missing \['beta_1', .* of Adam"):
        adam.load_state_dict(sgd.state_dict())
    with pytest.raises(ValueError, match=r"missing \['momentum', .* of SGD"):
        sgd.load_state_dict(adam.state_dict())
    with pytest.raises(TypeError, match="beta_1_power must be a number, got None"):
        adam.load_state_dict({**adam.state_dict(), "beta_1_power": None})


# -- the limit of the norm --


def norm_of(arrays):
    """Compute the norm of all arrays together."""
    return math.sqrt(sum(float(np.sum(a.astype(float) ** 2)) for a in arrays.values()))


@pytest.mark.parametrize("form", ["set", "mapping", "object"])
@BOTH_DTYPES
def test_a_long_gradient_is_scaled_down(dtype, form, rng):
    before = {n: array.astype(dtype) for n, array in draw(rng).items()}
    arrays = {n: array.copy() for n, array in before.items()}
    gradients = as_set(arrays, dtype) if form == "set" else arrays
    given = SimpleNamespace(parameters=gradients) if form == "object" else gradients
    norm = clip_norm(given, 0.5)
    assert norm == pytest.approx(norm_of(before), rel=1e-12)
    for n, array in before.items():
        expected = 0.5 * array.astype(np.float64) / norm_of(before)
        assert_close(n, gradients[n], expected, dtype)


@BOTH_DTYPES
def test_a_set_and_its_arrays_have_the_same_norm(dtype, rng):
    for arrays in draw_gradients(rng, dtype):
        gradients = as_set(arrays, dtype)
        by_name = {name: gradients[name] for name in SHAPES}  # views
        norm = clip_norm(gradients, None)
        assert clip_norm(by_name, 0.5 * norm) == norm
        assert clip_norm(gradients, None) == pytest.approx(0.5 * norm, rel=1e-6)


@pytest.mark.parametrize("max_norm", [None, 1e3, np.inf])
def test_other_gradients_are_left_as_they_are(max_norm, rng):
    gradients = as_set(draw(rng))
    before = gradients.flat.copy()
    assert clip_norm(gradients, max_norm) == pytest.approx(np.linalg.norm(before))
    assert_same_bits("gradients", gradients.flat, before)


def test_no_gradient_has_norm_0():
    gradients = ParameterSet(SHAPES, np.float32)
    assert clip_norm(gradients, 1.0) == 0
    assert not gradients.flat.any()
    assert clip_norm({}, 1.0) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_norm_shows_what_is_not_finite(bad):
    gradients = {"bias": np.array([1.0, bad, 2.0], np.float32)}
    assert not math.isfinite(clip_norm(gradients, 1.0))
    np.testing.assert_array_equal(gradients["bias"], [1, bad, 2])


@pytest.mark.parametrize("max_norm", [0, -1.0, np.nan])
def test_a_limit_that_is_not_positive_is_refused(max_norm):
    with pytest.raises(ValueError, match=r"max_norm must be in \(0, inf\], got"):
        clip_norm({"bias": np.ones(3)}, max_norm)
    with pytest.raises(TypeError, match="max_norm must be a number"):
        clip_norm({"bias": np.ones(3)}, "1")


def test_gradients_that_cannot_be_scaled_are_refused():
    first, locked = np.ones(3), np.ones(3)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="bias is read-only"):
        clip_norm({"weight": first, "bias": locked}, 1.0)
    with pytest.raises(TypeError, match="bias must be an ndarray, got list"):
        clip_norm({"weight": first, "bias": [1.0]}, 1.0)
    with pytest.raises(ValueError, match="bias must have dtype .* got dtype int64"):
        clip_norm({"weight": first, "bias": np.ones(3, np.int64)}, 1.0)
    assert first.tolist() == [1, 1, 1]
