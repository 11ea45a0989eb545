"""Losses and their gradients against scikit-learn, PyTorch and central differences."""

import math

import numpy as np
import pytest
from sklearn import metrics

from cases import BOTH_DTYPES
from fastgru.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
)
from gradcheck import assert_gradients, central_differences
from tolerances import assert_close, assert_same_bits

DELTA, QUANTILE = 0.7, 0.8
LOSSES = {
    "cross_entropy": CrossEntropy(),
    "binary_cross_entropy": BinaryCrossEntropy(),
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(DELTA),
    "quantile": Quantile(QUANTILE),
    "poisson": Poisson(),
}
EACH = pytest.mark.parametrize("name", LOSSES)
EACH_OF_NUMBERS = pytest.mark.parametrize("name", list(LOSSES)[1:])


def draw(name, rng, shape=(7, 3), dtype=np.float64):
    """Draw outputs, targets and positive weights, one per row."""
    outputs = (1.5 * rng.standard_normal(shape)).astype(dtype)
    if name == "cross_entropy":
        targets = rng.integers(0, shape[-1], shape[:-1])
    elif name == "binary_cross_entropy":
        targets = rng.integers(0, 2, shape)
    elif name == "poisson":
        targets = rng.poisson(2.0, shape)
    else:
        targets = rng.standard_normal(shape)
    return outputs, targets, rng.uniform(0.5, 2, shape[:-1])


# -- values and gradients --


def log_loss(outputs, targets, weights):
    """Compute the cross-entropy of 3 classes with scikit-learn."""
    powers = np.exp(outputs)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return metrics.log_loss(
        targets, probabilities, labels=[0, 1, 2], sample_weight=weights
    )


def binary_log_loss(outputs, targets, weights):
    """Compute the mean over labels of scikit-learn's log_loss."""
    probabilities = 1 / (1 + np.exp(-outputs))
    columns = zip(targets.T, probabilities.T, strict=True)
    return np.mean([metrics.log_loss(t, p, sample_weight=weights) for t, p in columns])


def poisson_from_deviance(outputs, targets, weights):
    """Compute half of scikit-learn's deviance and what does not depend on outputs."""
    weights = np.repeat(weights, outputs.shape[1])
    half = 0.5 * metrics.mean_poisson_deviance(
        targets.ravel(), np.exp(outputs).ravel(), sample_weight=weights
    )
    counts = targets.ravel().tolist()
    rest = [count - count * math.log(max(count, 1)) for count in counts]
    return half + np.average(rest, weights=weights)


BY_SCIKIT_LEARN = {
    "cross_entropy": log_loss,
    "binary_cross_entropy": binary_log_loss,
    "squared_error": lambda y, t, w: (
        metrics.mean_squared_error(t, y, sample_weight=w) / 2
    ),
    "absolute_error": lambda y, t, w: metrics.mean_absolute_error(
        t, y, sample_weight=w
    ),
    "quantile": lambda y, t, w: metrics.mean_pinball_loss(
        t, y, sample_weight=w, alpha=QUANTILE
    ),
    "poisson": poisson_from_deviance,
}


@pytest.mark.parametrize("name", BY_SCIKIT_LEARN)
@BOTH_DTYPES
def test_losses_are_those_of_scikit_learn(dtype, name, rng):
    outputs, targets, weights = draw(name, rng, dtype=dtype)
    loss, _ = LOSSES[name](outputs, targets, weights)
    expected = BY_SCIKIT_LEARN[name](outputs.astype(np.float64), targets, weights)
    assert loss == pytest.approx(expected, rel=1e-12)


def torchs_numbers(name, y, t):
    """Compute the loss of each number with PyTorch."""
    from torch import maximum
    from torch.nn import functional

    return {
        "binary_cross_entropy": lambda: functional.binary_cross_entropy_with_logits(
            y, t, reduction="none"
        ),
        "squared_error": lambda: functional.mse_loss(y, t, reduction="none") / 2,
        "absolute_error": lambda: functional.l1_loss(y, t, reduction="none"),
        "huber": lambda: functional.huber_loss(y, t, reduction="none", delta=DELTA),
        "quantile": lambda: maximum(QUANTILE * (t - y), (1 - QUANTILE) * (y - t)),
        "poisson": lambda: functional.poisson_nll_loss(y, t, reduction="none"),
    }[name]()


@EACH
@BOTH_DTYPES
def test_losses_and_gradients_are_those_of_torch(dtype, name, rng):
    torch = pytest.importorskip("torch")
    outputs, targets, weights = draw(name, rng, (5, 4, 3), dtype)
    y = torch.tensor(outputs.astype(np.float64), requires_grad=True)
    t, w = torch.tensor(targets), torch.tensor(weights)
    if name == "cross_entropy":
        rows = torch.nn.functional.cross_entropy(
            y.reshape(-1, 3), t.reshape(-1), reduction="none"
        ).reshape(5, 4)
    else:
        rows = torchs_numbers(name, y, t.double()).mean(dim=-1)
    expected = (w * rows).sum() / w.sum()
    expected.backward()
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert_close("d_outputs", d_outputs, y.grad.numpy(), dtype)


@EACH
@pytest.mark.parametrize("shape", [(6, 3), (3, 2, 4)], ids=str)
def test_gradients_agree_with_central_differences(name, shape, rng):
    outputs, targets, weights = draw(name, rng, shape)
    loss = LOSSES[name]
    _, d_outputs = loss(outputs, targets, weights)
    numeric = central_differences(
        lambda t: loss(t["outputs"], targets, weights)[0], {"outputs": outputs}
    )
    assert_gradients({"outputs": d_outputs}, numeric)


@EACH
def test_a_loss_is_a_float_and_changes_nothing(name, rng):
    outputs, targets, weights = draw(name, rng)
    before = [a.copy() for a in (outputs, targets, weights)]
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    assert type(loss) is float
    assert not np.shares_memory(d_outputs, outputs)
    for argument, copy in zip((outputs, targets, weights), before, strict=True):
        assert_same_bits("argument", argument, copy)


def test_rows_are_added_up_in_order(rng):
    for _ in range(20):
        outputs = rng.standard_normal((50, 1)) * 10.0 ** rng.uniform(-3, 3, (50, 1))
        weights = 10.0 ** rng.uniform(-3, 3, 50)
        loss, d_outputs = SquaredError()(outputs, np.zeros((50, 1)), weights)
        total = above = 0.0
        for y, w in zip(outputs.ravel().tolist(), weights.tolist(), strict=True):
            total += w
            above += w * (0.5 * y * y)
        assert loss == above / total
        expected = outputs.ravel() * (weights / total)
        assert_same_bits("d_outputs", d_outputs.ravel(), expected)


# -- forms of the arguments --


@EACH
@BOTH_DTYPES
def test_any_leading_axes(dtype, name, rng):
    outputs, targets, weights = draw(name, rng, (12, 3), dtype)
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    for leading in ((3, 4), (2, 1, 6)):
        again, d_again = LOSSES[name](
            outputs.reshape(*leading, 3),
            targets.reshape(leading + targets.shape[1:]),
            weights.reshape(leading),
        )
        assert again == loss
        assert_same_bits("d_outputs", d_again, d_outputs.reshape(*leading, 3))


@EACH
def test_a_single_row_without_leading_axes(name, rng):
    outputs, targets, _ = draw(name, rng, (1, 3))
    loss, d_outputs = LOSSES[name](outputs, targets)
    again, d_again = LOSSES[name](outputs[0], targets[0])
    assert again == loss
    assert_same_bits("d_outputs", d_again, d_outputs[0])


@EACH
def test_memory_of_any_order_and_arrays_that_are_read_only(name, rng):
    outputs, targets, weights = draw(name, rng, (4, 5, 3))
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    turned = [np.asfortranarray(a) for a in (outputs, targets, weights)]
    for argument in turned:
        argument.flags.writeable = False
    again, d_again = LOSSES[name](*turned)
    assert again == loss
    assert d_again.flags.c_contiguous
    assert_same_bits("d_outputs", d_again, d_outputs)


@EACH
def test_lists_and_other_numbers(name, rng):
    outputs, targets, weights = draw(name, rng)
    loss, _ = LOSSES[name](outputs, targets, np.round(4 * weights))
    kind = np.uint8 if targets.dtype.kind == "i" else np.longdouble
    weights = np.round(4 * weights).astype(np.uint16)
    assert LOSSES[name](outputs.tolist(), targets.tolist(), weights.tolist())[0] == loss
    assert LOSSES[name](outputs, targets.astype(kind), weights)[0] == loss


def test_binary_targets_may_be_bools_or_probabilities():
    loss = BinaryCrossEntropy()
    outputs = np.array([0.3, -2.0, 1.0])
    as_numbers, _ = loss(outputs, [1, 0, 1])
    assert loss(outputs, [True, False, True])[0] == as_numbers
    between, d_outputs = loss(np.array([0.3]), [0.25])
    yes, no = loss(np.array([0.3]), [1])[0], loss(np.array([0.3]), [0])[0]
    assert between == pytest.approx(0.25 * yes + 0.75 * no, rel=1e-14)
    assert d_outputs[0] == pytest.approx(1 / (1 + math.exp(-0.3)) - 0.25, rel=1e-14)


# -- weights --


@EACH
@BOTH_DTYPES
def test_a_whole_weight_is_a_row_that_many_times(dtype, name, rng):
    outputs, targets, _ = draw(name, rng, dtype=dtype)
    weights = np.array([1, 2, 1, 3, 1, 1, 1])
    rows = np.repeat(np.arange(7), weights)
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    repeated, d_repeated = LOSSES[name](outputs[rows], targets[rows])
    assert loss == pytest.approx(repeated, rel=1e-13)
    first = np.cumsum(weights) - weights
    expected = weights[:, np.newaxis] * d_repeated[first].astype(np.float64)
    assert_close("d_outputs", d_outputs, expected, dtype)


@EACH
def test_without_weights_all_are_1(name, rng):
    outputs, targets, weights = draw(name, rng)
    loss, d_outputs = LOSSES[name](outputs, targets)
    for ones in (np.ones(7), np.full(7, True), np.full(7, 0.25)):
        again, d_again = LOSSES[name](outputs, targets, ones)
        assert again == pytest.approx(loss, rel=1e-14)
        assert_close("d_outputs", d_again, d_outputs, np.float64)


@EACH
@BOTH_DTYPES
@pytest.mark.parametrize("as_mask", [False, True])
def test_what_has_weight_0_is_not_read(as_mask, dtype, name, rng):
    outputs, targets, weights = draw(name, rng, (4, 5, 3), dtype)
    valid = rng.random((4, 5)) < 0.6
    weights = valid if as_mask else valid * weights
    packed = LOSSES[name](outputs[valid], targets[valid], weights[valid])
    if name == "cross_entropy":
        outputs[~valid], targets[~valid] = np.nan, -100
    else:
        targets = targets.astype(np.float64)
        outputs[~valid], targets[~valid] = np.nan, np.nan
        outputs[~valid, 0], targets[~valid, 0] = np.inf, -np.inf
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    assert loss == packed[0]
    assert_same_bits("d_outputs", d_outputs[valid], packed[1])
    padding = np.zeros_like(d_outputs[~valid])
    assert padding.size > 0
    assert_same_bits("d_outputs of padding", d_outputs[~valid], padding)


@EACH_OF_NUMBERS
def test_a_weight_per_number(name, rng):
    outputs, targets, _ = draw(name, rng)
    outputs, targets = outputs.copy(), targets.astype(np.float64)
    weights = rng.uniform(0.5, 2, (7, 3))
    weights[2, 1] = 0
    targets[2, 1] = np.nan
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    column = LOSSES[name](
        outputs.reshape(-1, 1), targets.reshape(-1, 1), weights.ravel()
    )
    assert loss == column[0]
    assert_same_bits("d_outputs", d_outputs, column[1].reshape(7, 3))
    assert d_outputs[2, 1] == 0


@EACH_OF_NUMBERS
def test_outputs_of_one_axis_take_a_weight_per_number(name, rng):
    outputs, targets, _ = draw(name, rng, (7,))
    weights = np.arange(7.0)
    loss, d_outputs = LOSSES[name](outputs, targets, weights)
    column = LOSSES[name](outputs[:, np.newaxis], targets[:, np.newaxis], weights)
    assert loss == column[0]
    assert_same_bits("d_outputs", d_outputs, column[1][:, 0])


# -- large and small numbers, kinks --

INFINITE = math.inf


@pytest.mark.parametrize(
    ("loss", "output", "target", "expected", "slope"),
    [
        (BinaryCrossEntropy(), 1e20, 1, 0, 0),
        (BinaryCrossEntropy(), 1e20, 0, 1e20, 1),
        (BinaryCrossEntropy(), -1e20, 1, 1e20, -1),
        (BinaryCrossEntropy(), -1e20, 0, 0, 0),
        (SquaredError(), 1e20, -1e20, 2e40, 2e20),
        (SquaredError(), 1e154, 0, 5e307, 1e154),
        (SquaredError(), 1e155, 0, INFINITE, 1e155),
        (AbsoluteError(), 1e20, -1e20, 2e20, 1),
        (Huber(0.5), 1e20, -1e20, 1e20, 0.5),
        (Huber(0.5), -1e300, 0, 5e299, -0.5),
        (Huber(1e200), 1e100, 0, 5e199, 1e100),
        (Quantile(0.75), 1e20, 0, 0.25e20, 0.25),
        (Quantile(0.75), -1e20, 0, 0.75e20, -0.75),
        (Poisson(), -1e20, 2, 2e20, -2),
        (Poisson(), -1e20, 0, 0, 0),
        (Poisson(), 700, 0, math.exp(700), math.exp(700)),
        (Poisson(), 710, 3, INFINITE, INFINITE),
        (Poisson(), 1e20, 3, INFINITE, INFINITE),
    ],
)
def test_large_outputs_do_not_overflow_on_the_way(
    loss, output, target, expected, slope
):
    value, d_outputs = loss(np.array([[output]], np.float64), [[target]])
    assert value == pytest.approx(expected, rel=1e-14)
    assert d_outputs[0, 0] == pytest.approx(slope, rel=1e-14)


@BOTH_DTYPES
def test_large_logits_do_not_overflow_on_the_way(dtype):
    logits = np.array([[1e20, -1e20, 0], [1e30, 1e30, -1e30]], dtype)
    rows = logits.astype(np.float64)
    loss, d_logits = CrossEntropy()(logits, [1, 0])
    expected = (rows[0, 0] - rows[0, 1] + math.log(2)) / 2
    assert loss == pytest.approx(expected, rel=1e-14)
    assert d_logits.tolist() == [[0.5, -0.5, 0], [-0.25, 0.25, 0]]


def test_a_logit_of_minus_infinity_is_a_class_that_cannot_be():
    logits = np.array([[0.0, -np.inf, 0.0]])
    loss, d_logits = CrossEntropy()(logits, [0])
    assert loss == pytest.approx(math.log(2), rel=1e-15)
    assert d_logits.tolist() == [[-0.5, 0, 0.5]]
    assert CrossEntropy()(logits, [1])[0] == math.inf


def test_a_gradient_may_exceed_float32_where_the_loss_does_not():
    loss, d_outputs = Poisson()(np.array([[100.0]], np.float32), [[1]])
    assert loss == pytest.approx(math.exp(100), rel=1e-14)
    assert d_outputs[0, 0] == np.inf


@pytest.mark.parametrize("logit", [-700.0, -40.0, -37.0, -20.0, -3.0, -1e-9])
def test_binary_cross_entropy_of_certain_labels_keeps_its_digits(logit):
    # Right and certain: the loss is about e**-abs(logit), far below 1.
    for sign, target in ((1, 0), (-1, 1)):
        loss, d_outputs = BinaryCrossEntropy()(np.array([sign * logit]), [target])
        assert loss == pytest.approx(math.log1p(math.exp(logit)), rel=2e-15, abs=0)
        expected = sign * math.exp(logit) / (1 + math.exp(logit))
        assert d_outputs[0] == pytest.approx(expected, rel=2e-15, abs=0)


@pytest.mark.parametrize(
    "loss", [SquaredError(), AbsoluteError(), Huber(), Quantile(0.9)], ids=repr
)
def test_no_error_has_no_loss_and_no_gradient(loss):
    outputs = np.array([[0.0, 1.5, -1e20]])
    value, d_outputs = loss(outputs, outputs)
    assert value == 0
    assert_same_bits("d_outputs", d_outputs, np.zeros((1, 3)))


def test_hubers_two_parts_meet_at_delta():
    for error in (2.0, np.nextafter(2.0, 3), np.nextafter(2.0, 1)):
        for sign in (1, -1):
            loss, d_outputs = Huber(2.0)(np.array([sign * error]), [0.0])
            assert loss == pytest.approx(2.0, rel=1e-15)
            assert d_outputs[0] == pytest.approx(sign * 2, rel=1e-15)


@EACH
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_show(name, bad, rng):
    for place in range(3):
        outputs, targets, _ = draw(name, rng)
        outputs[3, place] = bad
        loss, d_outputs = LOSSES[name](outputs, targets)
        assert not math.isfinite(loss)
        if np.isnan(bad):
            assert np.isnan(d_outputs[3]).any()


# -- from outputs to predictions --


@BOTH_DTYPES
def test_predictions(dtype, rng):
    outputs = (3 * rng.standard_normal((4, 5, 3))).astype(dtype)
    before = outputs.copy()
    y = outputs.astype(np.float64)
    expected = {
        "softmax": np.exp(y) / np.exp(y).sum(axis=2, keepdims=True),
        "logistic": 1 / (1 + np.exp(-y)),
        "exp": np.exp(y),
        "identity": y,
    }
    for name, loss in LOSSES.items():
        assert_close(name, loss.activate(outputs), expected[loss.activation], dtype)
        turned = outputs.transpose(1, 0, 2)
        turned.flags.writeable = False
        again = loss.activate(turned).transpose(1, 0, 2)
        np.testing.assert_array_equal(again, loss.activate(outputs))
    assert_same_bits("outputs", outputs, before)


def test_activations_have_the_names_of_scikit_learn():
    names = {name: loss.activation for name, loss in LOSSES.items()}
    assert names.pop("cross_entropy") == "softmax"
    assert names.pop("binary_cross_entropy") == "logistic"
    assert names.pop("poisson") == "exp"
    assert set(names.values()) == {"identity"}


# -- what is refused --


@EACH
def test_outputs_that_are_no_floats_are_refused(name):
    loss = LOSSES[name]
    for outputs in (None, "text", [["a"]], np.zeros((4, 3), complex)):
        with pytest.raises(TypeError, match="outputs must be numbers, got dtype"):
            loss(outputs, np.zeros(4, int))
        with pytest.raises(TypeError, match="outputs must be numbers, got dtype"):
            loss.activate(outputs)
    for dtype in (np.int64, np.float16, ">f8"):
        with pytest.raises(ValueError, match="float32 or float64, got dtype"):
            loss(np.zeros((4, 3), dtype), np.zeros(4, int))
    for shape in ((), (0, 3), (4, 0)):
        with pytest.raises(ValueError, match="at least 1 row .* got shape"):
            loss(np.zeros(shape), np.zeros(shape))


@EACH
def test_targets_that_do_not_fit_are_refused(name, rng):
    outputs, targets, _ = draw(name, rng, (4, 5, 3))
    for wrong in (targets[:3], targets[0], targets[..., np.newaxis]):
        with pytest.raises(ValueError, match=r"targets must have .* got shape"):
            LOSSES[name](outputs, wrong)
    for wrong in (None, targets.astype(str), targets.astype(complex)):
        with pytest.raises(TypeError, match="targets must be .*, got dtype"):
            LOSSES[name](outputs, wrong)


def test_targets_are_not_broadcast():
    with pytest.raises(ValueError, match=r"shape of outputs, \(4, 1\), got shape \(4,"):
        SquaredError()(np.zeros((4, 1)), np.zeros(4))


@pytest.mark.parametrize("dtype", [float, bool, np.float32])
def test_class_numbers_that_are_no_integers_are_refused(dtype):
    with pytest.raises(TypeError, match="class numbers, which are integers, got dtype"):
        CrossEntropy()(np.zeros((4, 3)), np.zeros(4, dtype))


@pytest.mark.parametrize(
    ("loss", "wrong", "expected"),
    [
        (CrossEntropy(), [-1, 3, 2**40], "from 0 to 2"),
        (BinaryCrossEntropy(), [-0.5, 1.5, 2, np.nan, np.inf], r"in \[0, 1\]"),
        (Poisson(), [-1, -1e-9, np.nan, np.inf], r"in \[0, inf\)"),
        (SquaredError(), [np.nan, np.inf, -np.inf], r"in \(-inf, inf\)"),
        (Huber(), [np.nan, np.inf, -np.inf], r"in \(-inf, inf\)"),
    ],
    ids=repr,
)
def test_targets_out_of_range_are_refused_with_their_place(loss, wrong, expected):
    is_class = isinstance(loss, CrossEntropy)
    for target in wrong:
        targets = np.ones((2, 4), int) if is_class else np.ones((2, 4, 3))
        place = (1, 2) if is_class else (1, 2, 0)
        targets[place] = target
        message = rf"targets must be {expected}, got .* at \({str(place)[1:-1]}\)"
        with pytest.raises(ValueError, match=message):
            loss(np.zeros((2, 4, 3)), targets)
        weights = np.ones((2, 4))
        with pytest.raises(ValueError, match=message):
            loss(np.zeros((2, 4, 3)), targets, weights)
        weights[1, 2] = 0
        assert math.isfinite(loss(np.zeros((2, 4, 3)), targets, weights)[0])


@EACH
@pytest.mark.parametrize("bad", [-1e-300, -1, np.nan, np.inf])
def test_weights_that_are_negative_or_not_finite_are_refused(bad, name, rng):
    outputs, targets, weights = draw(name, rng, (4, 5, 3))
    weights[3, 2] = bad
    message = r"sample_weight must be finite and not negative, got .* at \(3, 2\)"
    with pytest.raises(ValueError, match=message):
        LOSSES[name](outputs, targets, weights)


@EACH
def test_weights_that_do_not_fit_are_refused(name, rng):
    outputs, targets, weights = draw(name, rng, (4, 5, 3))
    for wrong in (weights[:3], weights[0], weights[..., np.newaxis], 1.0):
        with pytest.raises(ValueError, match=r"must have shape \(4, 5\).*, got shape"):
            LOSSES[name](outputs, targets, wrong)
    for wrong in ("text", weights.astype(complex), weights.astype(str)):
        with pytest.raises(TypeError, match="sample_weight must be numbers, got dtype"):
            LOSSES[name](outputs, targets, wrong)
    for zeros in (np.zeros((4, 5)), np.full((4, 5), False)):
        with pytest.raises(ValueError, match=r"sum of sample_weight .* got 0\.0"):
            LOSSES[name](outputs, targets, zeros)
    with pytest.raises(ValueError, match="sum of sample_weight .* got inf"):
        LOSSES[name](outputs, targets, np.full((4, 5), 1e308))


def test_classes_take_no_weight_per_number():
    with pytest.raises(ValueError, match=r"must have shape \(4,\), got shape \(4, 3\)"):
        CrossEntropy()(np.zeros((4, 3)), np.zeros(4, int), np.ones((4, 3)))


@pytest.mark.parametrize("delta", [0, -1, np.inf, np.nan])
def test_hubers_delta_is_positive_and_finite(delta):
    with pytest.raises(ValueError, match=r"delta must be in \(0, inf\), got"):
        Huber(delta)


@pytest.mark.parametrize("quantile", [0, 1, -0.5, 2, np.nan])
def test_a_quantile_is_between_0_and_1(quantile):
    with pytest.raises(ValueError, match=r"quantile must be in \(0, 1\), got"):
        Quantile(quantile)


@pytest.mark.parametrize("make", [Huber, Quantile])
@pytest.mark.parametrize("value", [None, "1", True, [1.0], 1j])
def test_arguments_that_are_no_numbers_are_refused(value, make):
    with pytest.raises(TypeError, match="must be a number, got .* of type"):
        make(value)


def test_losses_show_their_arguments():
    assert repr(Huber(np.float32(2))) == "Huber(delta=2.0)"
    assert repr(Quantile(0.9)) == "Quantile(quantile=0.9)"
    assert repr(CrossEntropy()) == "CrossEntropy()"
