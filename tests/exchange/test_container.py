"""Files that are damaged, of another kind, or that lie about what they hold."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastgru
from fastgru.exchange.container import digest_of, read_container, write_container
from model_files import join, rewrite, split
from networks import make_network
from problems import classifier, draw_classes
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def make_gru(**settings):
    return fastgru.GRU(3, 5, random_state=0, **settings)


def refuses(path, message):
    """Expect that a file is refused with a message that names it."""
    return pytest.raises(ValueError, match=rf"(?s)model\.safetensors.*{message}")


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match="no model file at .*model.safetensors"):
        fastgru.load(path)


def test_what_is_no_file_is_refused(path):
    path.mkdir()
    with refuses(path, "is a folder, not a model file"):
        fastgru.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes: not there")
def test_a_pipe_is_refused_without_waiting(path):
    os.mkfifo(path)
    with refuses(path, "is no regular file"):
        fastgru.load(path)


@pytest.mark.parametrize("content", [b"", b"x", b"no model" * 99, bytes(1000)])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or not a"):
        fastgru.load(path)


def test_safetensors_of_another_program_are_refused(path):
    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ValueError, match=r"was not written by fastgru\.save"):
        fastgru.load(path)
    save_file({"weight": np.ones(3)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"was not written by fastgru\.save.*'pt'"):
        fastgru.load(path)


def test_every_truncation_is_refused(path):
    fastgru.save(fastgru.GRU(1, 1, random_state=0), path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_refused(path, change):
    fastgru.save(fastgru.GRU(1, 1, random_state=0), path)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= change
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)
        content[place] ^= change


@pytest.mark.parametrize("kind", ["estimator", "forecaster", "network"])
def test_every_changed_byte_of_a_larger_file_is_refused(path, kind):
    if kind == "estimator":
        model = classifier(1, max_iter=1).fit([x[:, :1] for x in X], Y)
    elif kind == "forecaster":
        settings = {"hidden_size": 1, "max_iter": 1, "random_state": 0}
        model = fastgru.GRUForecaster(**settings).fit(np.sin(np.arange(9.0)))
    else:
        model = make_network("last of steps")
    fastgru.save(model, path)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= 0x02
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)
        content[place] ^= 0x02


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("2", "was written by a newer fastgru.*'fastgru-2'.*'fastgru-1'"),
        ("10", "was written by a newer fastgru"),
        ("0", "was not written by fastgru.save.*'fastgru-0'"),
        ("01", "was not written by fastgru.save"),
        ("1.5", "was not written by fastgru.save"),
        ("checkpoint-1", "was not written by fastgru.save"),
        ("", "was not written by fastgru.save"),
    ],
)
def test_other_versions_are_named(path, number, message):
    write_container(path, f"fastgru-{number}", {"x": np.ones(3)}, "{}")
    with refuses(path, message):
        fastgru.load(path)


def test_a_longer_or_shorter_file_is_told(path):
    fastgru.save(make_gru(), path)
    whole = path.read_bytes()
    size = len(whole)
    for content, message in {
        whole + b"x": f"describes {size} bytes, but the file has {size + 1}",
        whole[:-1]: f"describes {size} bytes, but the file has {size - 1}",
        b"": "it is empty",
        b"1234567": "it ends after 7 bytes",
        whole[:100]: "header would be .* but 92 follow",
        (10**8 + 1).to_bytes(8, "little") + bytes(99): "more than 100000000",
    }.items():
        path.write_bytes(content)
        with refuses(path, message):
            fastgru.load(path)


def set_entry(name, **changes):
    """Return what changes the header's entry of an array."""
    return lambda header: header[name].update(changes)


WEIGHT = "weight_ih_l0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header.pop(WEIGHT), "the file has"),
        (lambda header: header.pop("bias_hh_l0"), "begins at byte .* of the data"),
        (lambda header: header.update(x=header[WEIGHT]), "begins at byte"),
        (lambda header: header.update(x=3), "'x' is not described by dtype"),
        (lambda header: header[WEIGHT].pop("shape"), "is not described by dtype"),
        (set_entry(WEIGHT, x=1), "is not described by dtype"),
        (set_entry(WEIGHT, dtype="BF16"), "dtype 'BF16', which fastgru does not read"),
        (set_entry(WEIGHT, dtype=["F32"]), "which fastgru does not read"),
        (set_entry(WEIGHT, shape=[15, -3]), "has shape"),
        (set_entry(WEIGHT, shape=[15, 3.0]), "has shape"),
        (set_entry(WEIGHT, shape=[True, 45]), "has shape"),
        (set_entry(WEIGHT, shape=45), "has shape"),
        (set_entry(WEIGHT, shape=[2**47, 2**47]), "has data_offsets"),
        (set_entry(WEIGHT, shape=[10**400]), "has shape .a very large number"),
        (set_entry(WEIGHT, shape=[1] * 9), "has shape"),
        (set_entry(WEIGHT, data_offsets=[0, 1]), "has data_offsets"),
        (set_entry(WEIGHT, data_offsets=[180, 0]), "has data_offsets"),
        (set_entry(WEIGHT, data_offsets=[0, 1, 2]), "has data_offsets"),
        (set_entry(WEIGHT, data_offsets=None), "has data_offsets"),
        (lambda header: header.update(__metadata__=3), "its metadata are no texts"),
        (lambda header: header["__metadata__"].update(x=3), "metadata are no texts"),
        (lambda header: header["__metadata__"].pop("digest"), "not match its digest"),
        (lambda header: header["__metadata__"].pop("model"), "describes no model"),
    ],
)
def test_a_header_that_is_wrong_says_where(path, change, message):
    fastgru.save(make_gru(), path)
    header, data = split(path.read_bytes())
    change(header)
    path.write_bytes(join(header, data))
    with refuses(path, message):
        fastgru.load(path)


@pytest.mark.parametrize(
    "text",
    [
        *(b"[]", b"3", b"null", b'{"x": NaN}', b"{", b"\xff\xfe{}", b"1" * 9999),
        b"[" * 10**5,
        b'{"a":' * 10**5 + b"1" + b"}" * 10**5,
    ],
    ids=lambda text: repr(text[:9]),
)
def test_a_header_of_anything_else_is_refused(path, text):
    path.write_bytes(join(text, bytes(100)))
    with refuses(path, "is damaged or not a safetensors file"):
        fastgru.load(path)


def test_a_key_that_comes_twice_is_refused(path):
    fastgru.save(make_gru(), path)
    header, data = split(path.read_bytes())
    text = json.dumps(header).encode().replace(b"{", b'{"bias_hh_l0": 3, ', 1)
    path.write_bytes(join(text, data))
    with refuses(path, "a key appears twice"):
        fastgru.load(path)


def test_the_order_of_arrays_and_spaces_do_not_matter(path):
    gru = make_gru()
    fastgru.save(gru, path)
    header, data = split(path.read_bytes())
    path.write_bytes(join(dict(reversed(header.items())), data, padding=5))
    for name, array in fastgru.load(path).state_dict().items():
        assert_same_bits(name, array, gru.state_dict()[name])


def test_halves_of_letters_are_refused(path):
    # JSON can name them, UTF-8 cannot.
    fastgru.save(make_gru(), path)
    header, data = split(path.read_bytes())
    header["__metadata__"]["model"] = "\ud800"
    path.write_bytes(join(header, data))
    with refuses(path, "does not match its digest"):
        fastgru.load(path)


# -- memory ----------------------------------------------------------------------------


def peak_of(function, *arguments):
    """Return what a call returned and the most memory that it took at once."""
    tracemalloc.start()
    try:
        result = function(*arguments)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refusal_of(path):
    """Load a file; return the message with which it is refused."""
    try:
        fastgru.load(path)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("piece", ["[],", '"ab",', '{"a":[1.5]},', "257,"])
@pytest.mark.parametrize("letter", ["", "\\ud83d\\ude00", "\U0001f600"], ids=ascii)
def test_a_header_of_too_many_values_is_refused_before_it_is_read(path, piece, letter):
    text = '{"x": [' + piece * (8_000_000 // len(piece)) + f'"{letter}"]}}'
    path.write_bytes(join(text.encode(), b""))
    message, peak = peak_of(refusal_of, path)
    assert "its header lists too much for a file of" in message
    assert peak < 10_000_000


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_size": 10**9},
        {"num_layers": 10**9},
        {"input_size": 10**18},
        {"hidden_size": 10**400},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_sizes_that_a_file_does_not_hold_take_no_memory(path, settings):
    fastgru.save(make_gru(), path)
    rewrite(path, lambda description, _: description["settings"].update(settings))
    message, peak = peak_of(refusal_of, path)
    assert "does not describe a model" in message
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["series"].update(lengths=[2**40], n_judged=[2**40]),
        lambda d: d["series"].update(lengths=[30] * 10**4, n_judged=[30] * 10**4),
        lambda d: d["series"].update(n_errors=2**40),
        lambda d: d["form"].update(n_targets=2**40, is_flat=False),
        lambda d: d["form"].update(n_exog=2**40),
        lambda d: [d[key].update(horizon=2**40) for key in ("settings", "strategy")],
    ],
    ids=["lengths", "series", "errors", "variables", "features", "horizon"],
)
def test_a_series_that_a_file_does_not_hold_takes_no_memory(path, change):
    model = fastgru.GRUForecaster(3, hidden_size=2, max_iter=1, random_state=0)
    fastgru.save(model.fit(np.sin(np.arange(30.0))), path)
    rewrite(path, lambda description, _: change(description))
    message, peak = peak_of(refusal_of, path)
    assert "does not describe a model" in message
    assert peak < 2_000_000


def test_loading_a_forecaster_takes_a_few_times_its_series(path):
    series = np.random.default_rng(0).normal(size=(100_000, 4))
    model = fastgru.GRUForecaster(
        3, hidden_size=2, max_iter=1, calibration_fraction=None, batch_size=10_000
    )
    fastgru.save(model.fit(series), path)
    fastgru.load(path)
    size = path.stat().st_size
    loaded, peak = peak_of(fastgru.load, path)
    # The series, its levels, their changes, and what takes one of them to the next.
    assert peak < 6 * size
    assert_same_bits("forecast", loaded.predict(), model.predict())


def test_a_class_label_with_room_for_much_takes_no_memory(path):
    fastgru.save(classifier(max_iter=1).fit(X, np.array(["a", "b"])[Y]), path)

    def widen(description, _):
        description["task"]["classes"][1] = "<U90000000"

    rewrite(path, widen)
    message, peak = peak_of(refusal_of, path)
    assert "classes of type <U90000000 take too much memory" in message
    assert peak < 2_000_000


def test_loading_takes_no_more_memory_than_the_model(path):
    gru = fastgru.GRU(300, 300, random_state=0)
    fastgru.save(gru, path)
    fastgru.load(path)
    size = path.stat().st_size
    loaded, peak = peak_of(fastgru.load, path)
    # Weights, and their copies in the orders of the two passes.
    assert peak < 3.3 * size + 1_000_000
    embedding = fastgru.Embedding(100_000, 40, random_state=0)
    fastgru.save(embedding, path)
    size = path.stat().st_size
    loaded, peak = peak_of(fastgru.load, path)
    assert size < peak < size + 3_000_000
    assert_same_bits(
        "weight", loaded.state_dict()["weight"], embedding.state_dict()["weight"]
    )


@pytest.mark.parametrize("shape", [(1, 600_000), (600_000, 1), (700, 900)], ids=str)
def test_arrays_of_every_shape_are_read_in_blocks(path, shape, rng):
    array = rng.standard_normal(shape)
    write_container(path, "some-1", {"x": array, "y": np.arange(3)}, "text")
    tensors, text = read_container(path, "some-1", "a test")
    assert_same_bits("x", tensors["x"], array)
    assert tensors["y"].tolist() == [0, 1, 2]
    assert text == "text"


def test_what_could_not_be_read_is_not_written(path, monkeypatch):
    write_container(path, "some-1", {}, "before")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("fastgru.exchange.container._LONGEST_HEADER", 1000)
        with pytest.raises(ValueError, match="does not fit into a file"):
            write_container(path, "some-1", {}, "x" * 1000)
    with pytest.raises(ValueError, match="lists too much for a file of"):
        write_container(path, "some-1", {}, "[]," * 10**6)
    assert path.read_bytes() == before


def test_the_digest_knows_names_and_types_and_bits():
    x = np.arange(6.0)
    digests = {
        digest_of("a", {"x": x}),
        digest_of("b", {"x": x}),
        digest_of("a", {"y": x}),
        digest_of("a", {"x": x.reshape(2, 3)}),
        digest_of("a", {"x": x.view(np.int64)}),
        digest_of("a", {"x": -x}),
        digest_of("a", {}),
    }
    assert len(digests) == 7
