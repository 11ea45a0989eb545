"""Damaged and forged model files: refused with ValueError, or a model that works.

``python tests/endurance/fuzz.py --files 10000`` (``make fuzz``) saves small models of
each kind and changes their files at random: bits and bytes, length, parts, the header,
and what they describe, with the old digest and with one that is right again.  A child
process loads each; what a file that loads holds is run once.
"""

import argparse
import collections
import copy
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

import fastgru
from fastgru.exchange.container import digest_of, read_container

MOST_SECONDS = 5.0  # to load a file and run its model
PATIENCE = 60.0  # seconds before a child counts as hanging
SPARE_BYTES = 50_000_000  # of memory, besides twice the file
FORMAT = "fastgru-1"
MAGIC = [
    b"PK\x03\x04",
    b"\x89HDF\r\n\x1a\n",
    b"\x80\x04\x95",
    b"\x93NUMPY",
    b"\x08\x07",
]


# -- models ----------------------------------------------------------------------------


def make_layers():
    """Make a layer of each kind, and networks."""
    layers = [
        fastgru.GRU(2, 3, num_layers=2, bidirectional=True, random_state=0),
        fastgru.GRU(2, 1, bias=False, dtype="float64", random_state=0),
        fastgru.GRUCell(2, 3, random_state=0),
        fastgru.Dense(2, 3, random_state=0),
        fastgru.Embedding(5, 2, random_state=0),
        fastgru.Pooling("attention", n_features=3, random_state=0),
        fastgru.Dropout(0.5),
    ]
    embedding, dense = layers[4], fastgru.Dense(3, 2, random_state=0)
    gru = fastgru.GRU(2, 3, random_state=0)
    networks = [
        fastgru.Network([embedding, gru, layers[5], dense]),
        fastgru.Network([layers[3], fastgru.Dropout(0.1)], batch_first=True),
        fastgru.Network([gru, fastgru.Pooling("last"), dense]),
        fastgru.Network([fastgru.OneHot(5), fastgru.GRU(5, 2, random_state=0)]),
    ]
    return layers + networks


def make_estimators():
    """Fit a small estimator of each kind, on each form of X, and pipelines."""
    rng = np.random.default_rng(0)
    X, rows = rng.normal(size=(12, 4, 2)), rng.normal(size=(12, 5))
    tokens = rng.integers(0, 5, (12, 4))
    y, targets = np.arange(12) % 2, rng.normal(size=(12, 2))
    common = {"max_iter": 2, "random_state": 0}
    fitted = [
        fastgru.GRUClassifier(
            3, early_stopping=True, validation_fraction=0.3, **common
        ).fit(X, np.array(["no", "yes"])[y]),
        fastgru.GRUClassifier((3, 2), pooling="attention", **common).fit(rows, y),
        fastgru.GRUClassifier(
            3, class_weight={0: 2.0, 1: 1.0}, bidirectional=True, **common
        ).fit(X, y),
        fastgru.GRUClassifier(3, n_tokens=5, **common).fit(
            tokens, (targets > 0).astype(int)
        ),
        fastgru.GRURegressor(
            3, dropout=0.2, dense_sizes=(2,), loss="huber", **common
        ).fit(X, targets),
        fastgru.GRURegressor(3, return_sequences=True, **common).fit(X, X[:, :, 0]),
        fastgru.GRUTransformer(3, n_tokens=5, pooling="mean", **common).fit(tokens),
        fastgru.GRUTransformer(3, pooling="max", dtype="float64", **common).fit(X, y),
        fastgru.GRUTransformer(3, **common).fit(X),
        fastgru.SequenceScaler().fit(X),
        fastgru.GRULanguageModel(
            hidden_size=3, num_steps=4, batch_size=2, **common
        ).fit("an é and a word, "),
        fastgru.GRULanguageModel(
            "word", hidden_size=3, embedding_dim=2, num_steps=2, **common
        ).fit([3, 1, 2.5, True, "x"] * 3),
    ]
    classifier = fastgru.GRUClassifier(2, **common)
    steps = [("scale", fastgru.SequenceScaler()), ("learn", classifier)]
    vectors = [("é", fastgru.GRUTransformer(3, **common)), ("none", "passthrough")]
    return [
        *fitted,
        Pipeline(steps, verbose=False).fit(X, y),
        Pipeline([*vectors, ("learn", fastgru.GRURegressor(2, **common))]).fit(X, y),
    ]


def make_forecasters():
    """Fit forecasters of each strategy to each form of series."""
    rng = np.random.default_rng(0)
    series, known = rng.uniform(1, 2, size=(30, 2)), rng.normal(size=(30, 2))
    common = {"horizon": 3, "hidden_size": 2, "max_iter": 1, "random_state": 0}
    direct = fastgru.GRUForecaster(transform="seasonal", period=4, log=True, **common)
    recursive = fastgru.GRUForecaster(strategy="recursive", num_layers=2, **common)
    fitted = [
        direct.fit([series[:, 0], series[:25, 0]]),
        recursive.fit(series[:25], exog=known[:25]).update(series[25:], known[25:]),
    ]
    try:
        import pandas as pd
    except ImportError:
        return fitted
    dates = pd.date_range("2000", periods=30, freq="QE", tz="Europe/Berlin")
    periods = pd.period_range("2000", periods=30, freq="M")
    frame = pd.DataFrame(series, periods, ["a", 3])
    numbers = [pd.Series(series[:, 0], np.arange(30) * step) for step in (2, 0.5)]
    indexes = [dates, pd.RangeIndex(30)]
    named = [pd.Series(series[:, 0], index, name="é") for index in indexes]
    return [
        *fitted,
        fastgru.GRUForecaster(calibration_fraction=None, **common).fit(frame),
        fastgru.GRUForecaster(strategy="recursive", **common).fit(named + numbers),
    ]


def save_models(folder):
    """Save models of each kind; return the contents of their files."""
    warnings.simplefilter("ignore")
    contents = []
    models = make_layers() + make_estimators() + make_forecasters()
    for number, model in enumerate(models):
        path = Path(folder, f"{number}.safetensors")
        fastgru.save(model, path)
        contents.append(path.read_bytes())
    return contents


# -- damage ----------------------------------------------------------------------------


def split(content):
    """Return the header of a file as an object, and its data."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header, data, *, padding=0):
    """Make a file of a header and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * padding
    return len(text).to_bytes(8, "little") + text + data


def flip_bits(rng, content, others):
    """Flip one bit, or a few."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 3, 30])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def change_bytes(rng, content, others):
    """Replace a stretch of bytes."""
    begin, n = rng.randrange(len(content)), rng.choice([1, 1, 4, 50])
    filler = rng.choice([bytes(n), b"\xff" * n, b"[" * n, b'"' * n, rng.randbytes(n)])
    return content[:begin] + filler + content[begin + n :]


def change_length(rng, content, others):
    """Cut something off, take something out, or put something in."""
    begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    more = rng.choice([b"", bytes(8), rng.randbytes(rng.randrange(1, 99))])
    return rng.choice(
        [
            content[:begin],
            content[end:],
            content[:begin] + content[end:],
            content[:begin] + more + content[begin:],
            content + more,
        ]
    )


def swap_parts(rng, content, others):
    """Exchange parts within a file, or with another."""
    other = rng.choice(others)
    (header, data), (other_header, other_data) = split(content), split(other)
    a, b, c = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    place = rng.randrange(min(len(content), len(other)))
    return rng.choice(
        [
            content[:a] + content[b:c] + content[a:b] + content[c:],
            content[:place] + other[place:],
            join(header, other_data),
            join(other_header, data),
        ]
    )


def change_start(rng, content, others):
    """Change what says how long the header is, or what kind of file it is."""
    length = int.from_bytes(content[:8], "little")
    lengths = [0, 1, length - 1, length + 1, length + 8, len(content) - 8]
    lengths += [len(content), 10**8, 2**31, 2**32 + length, 2**63, 2**64 - 1]
    magic = rng.choice(MAGIC)
    return rng.choice(
        [
            *(n.to_bytes(8, "little") + content[8:] for n in lengths if n >= 0),
            magic + content,
            magic + content[len(magic) :],
            b"",
            bytes(rng.randrange(1, 200)),
            magic,
        ]
    )


JUNK = [
    *(None, True, False, 0, 1, -1, 2, 3, 4, 5, 7, 10**9, 2**31, 2**63, 10**30, 10**400),
    *(-(10**18), 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"), 1.0),
    *("", "x", "é", "\ud800", "GRU", "Network", "Pipeline", "float16", "float64"),
    *("F64", "I8", "<U99999999", "|O", "|V8", "last", "attention", "tanh", "x" * 9999),
    *("passthrough", "tokens", "univariate", "sequences", "pandas", "os.system"),
    *([], [[]], {}, [0], [1, 1], [0, 10**15], {"tuple": 3}, {"dict": [[[], 1]]}),
    *({"tuple": [1, 2]}, {"dict": []}, [None] * 9, {"class": "Dropout"}),
]


def places(value, depth=0):
    """Yield every object and list inside a value, with a key of each."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from places(item, depth + 1)


def change_value(rng, value):
    """Change something somewhere inside an object."""
    found = list(places(value))
    if not found:
        value["x"] = rng.choice(JUNK)
        return
    parent, key = rng.choice(found)
    _, other_key = other = rng.choice(found)
    action = rng.random()
    if action < 0.5:
        parent[key] = copy.deepcopy(rng.choice(JUNK))
    elif action < 0.6 and isinstance(parent[key], (int, float)):
        # Halves only where there may be fractions: junk holds integers beyond floats.
        more = [0.5] if isinstance(parent[key], float) else []
        parent[key] += rng.choice([-1, 1, 1000, *more])
    elif action < 0.7:
        del parent[key]
    elif action < 0.8 and isinstance(parent, dict):
        parent[rng.choice(["x", "random_state", "class", str(other_key)])] = 1
    elif action < 0.85 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
    elif action < 0.9 and isinstance(parent, list):
        parent *= rng.choice([2, 50])
    else:
        parent[key] = copy.deepcopy(other[0][other_key])


def change_tensors(rng, content, others):
    """Change what the header says of the arrays."""
    header, data = split(content)
    tensors = {k: v for k, v in header.items() if k != "__metadata__"}
    for _ in range(rng.choice([1, 1, 2])):
        change_value(rng, tensors)
    kept = {"__metadata__": header["__metadata__"]} if rng.random() < 0.95 else {}
    return join(tensors | kept, data, padding=rng.choice([0, 0, 5]))


def change_metadata(rng, content, others):
    """Change format, digest or description as texts."""
    header, data = split(content)
    metadata = header["__metadata__"]
    key = rng.choice(list(metadata))
    values = ["fastgru-2", "fastgru-0", "fastgru-x", "fastgru-checkpoint-1", "pt"]
    values += [metadata[key][:-1], metadata[key] * 2, "[" * 10**5, '{"a":' * 10**5]
    values += ["[]," * 10**5, "1" * 5000, "null", "\ud800", metadata[key] + "é"]
    metadata[key] = rng.choice([*values, *JUNK])
    return join(header, data)


def bloat(rng, content, others):
    """Put a text into the header that would take many times its size when read."""
    header, data = split(content)
    n = rng.choice([10**4, 10**5, 10**6, 4 * 10**6])
    piece = rng.choice(["[],", "{},", '"ab",', "257,", '{"a":[1.5]},', "[", "0.5,"])
    text = '{"x": [' + piece * (n // len(piece)) + "0]}"
    text += rng.choice(["", "\\ud83d\\ude00", "\U0001f600"])
    if rng.random() < 0.5:
        header["__metadata__"]["model"] = text
        text = json.dumps(header, ensure_ascii=rng.random() < 0.5)
    return join(text.encode(), data)


def change_description(rng, content, others):
    """Change the description, and leave the digest."""
    header, data = split(content)
    description = json.loads(header["__metadata__"]["model"])
    change_value(rng, description)
    header["__metadata__"]["model"] = json.dumps(description)
    return join(header, data)


def read(content):
    """Return the arrays and the description of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        path.write_bytes(content)
        tensors, text = read_container(path, FORMAT, "fastgru.save")
    return tensors, json.loads(text)


def graft(rng, description, other):
    """Give a description a part of another; return whether its arrays go along."""
    keys = [key for key in description if key in other]
    names = [key for key in keys if key != "class"]
    chosen = rng.sample(names, rng.randint(0, len(names)))
    if rng.random() < 0.3:
        chosen.append("class")
    for key in chosen:
        description[key] = other[key]
    return "network" in chosen or "layers" in chosen


def forge(rng, content, others):
    """Change the description and the arrays, and put the right digest to them."""
    from safetensors.numpy import save

    tensors, description = read(content)
    if rng.random() < 0.3:
        other_tensors, other = read(rng.choice(others))
        if graft(rng, description, other):
            tensors = other_tensors
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        change_value(rng, description)
    if tensors and rng.random() < 0.3:
        name = rng.choice(list(tensors))
        array = tensors.pop(name)
        changed = [
            (name, array.T),
            (name, array[..., np.newaxis]),
            (name, array[:0]),
            (name, array.astype(rng.choice(["f2", "f4", "f8", "i4", "?"]))),
            (name, np.full_like(array, rng.choice([np.nan, np.inf, 1e30, 0]))),
            (f"{name}_reverse", array),
            (rng.choice(["x", "weight", "0.weight", ""]), array),
        ]
        new_name, array = rng.choice(changed)
        tensors[new_name] = np.ascontiguousarray(array)
        if rng.random() < 0.2:
            tensors.setdefault(name, array)
    text = json.dumps(description)
    if rng.random() < 0.05:
        text = text.replace("{", '{"class": 3, ', 1)  # a key twice
    digest = digest_of(text, tensors)
    return save(tensors, {"format": FORMAT, "model": text, "digest": digest})


DAMAGE = [
    flip_bits,
    change_bytes,
    change_length,
    swap_parts,
    change_start,
    change_tensors,
    change_metadata,
    change_description,
    bloat,
    forge,
    forge,
    forge,
    forge,
]


# -- the child, which loads ------------------------------------------------------------


def run_model(model):
    """Run a model once on a small input of its form."""
    name = type(model).__name__
    if name == "Dropout":
        return
    if name in ("Embedding", "Pooling"):
        gru = fastgru.GRU(model.n_features or 2, 2) if name == "Pooling" else None
        if gru is None:
            fastgru.Network([model])(np.zeros((2, 1), np.int64))
        return
    if name in ("GRU", "GRUCell", "Dense"):
        x = np.ones((2, model.input_size), model.dtype)
        (fastgru.Network([model]) if name == "Dense" else model)(x)
    elif name == "OneHot":
        n = model.n_tokens
        if n < 1000:
            layers = [model, fastgru.GRU(n, 2, dtype=model.dtype)]
            fastgru.Network(layers)(np.zeros((2, 1), np.int64))
    elif name == "GRULanguageModel":
        model.generate(model.vocabulary_[1:3], 2)
    elif name == "GRUForecaster":
        run_forecaster(model)
    elif name == "Network":
        n = model._input.n_features
        model(np.zeros((3, 2), int) if n is None else np.ones((3, 2, n), model.dtype))
    else:
        run_estimator(model)


def run_forecaster(model):
    """Forecast, read a step of each series, and forecast again."""
    form, n_series = model._form, len(model._memory.histories)

    def of_each(shape):
        given = [np.ones(shape) for _ in range(n_series)]
        return given if form.is_list else given[0]

    new = of_each(1 if form.is_flat else (1, form.n_targets))
    ahead = of_each((model.horizon, form.n_exog)) if form.n_exog else None
    model.predict(exog=ahead)
    model.update(new, of_each((1, form.n_exog)) if form.n_exog else None)
    model.predict(exog=ahead)
    repr(model.get_params())


def run_estimator(model):
    """Run an estimator or a pipeline once on a small input of its form."""
    first = model
    if isinstance(model, Pipeline):
        first = next(s for _, s in model.steps if s not in (None, "passthrough"))
    form = first._form
    X = {
        "tokens": np.zeros((2, 3), int),
        "univariate": np.ones((2, form.n_features_in)),
        "sequences": np.ones((2, 3, form.n_features_in)),
    }[form.kind]
    method = "predict" if hasattr(model, "predict") else "transform"
    try:
        getattr(model, method)(X)
    except ValueError as error:
        # From weights of NaN or infinity come vectors that the next step refuses.
        is_refused = "NaN" in str(error) or "infinity" in str(error)
        if not (isinstance(model, Pipeline) and is_refused):
            raise
    if not isinstance(model, Pipeline):
        repr(model.get_params())


def resident_bytes(which):
    """Return how much memory this process has ("VmRSS") or has had ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{which}:"))
    return int(line.split()[1]) * 1024


def forget_peak():
    """Let the most memory that this process has had be what it has now."""
    Path("/proc/self/clear_refs").write_text("5")


def load_all():
    """Load the files whose paths come in, and say of each what happened."""
    warnings.simplefilter("ignore")
    # So that what the first model of a kind loads and compiles is no growth.
    with tempfile.TemporaryDirectory() as folder:
        save_models(folder)
        for path in Path(folder).iterdir():
            run_model(fastgru.load(path))
    print("ready", flush=True)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        forget_peak()
        before, begin = resident_bytes("VmRSS"), time.monotonic()
        try:
            model = fastgru.load(path)
        except ValueError as error:
            found = "refused" if path.name in str(error) else f"no name: {error}"
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        else:
            found = "loaded"
            try:
                run_model(model)
            except Exception as error:
                found = f"does not run: {type(error).__name__}: {error}"
        seconds = time.monotonic() - begin
        growth = resident_bytes("VmHWM") - before
        if growth > 2 * path.stat().st_size + SPARE_BYTES:
            found = f"takes {growth / 1e6:.0f} MB"
        if seconds > MOST_SECONDS:
            found = f"takes {seconds:.1f} s"
        print(json.dumps(found[:300]), flush=True)


class Loader:
    """The child process, and another one if it ends."""

    def __init__(self):
        self._child = None

    def load(self, path):
        """Return what happened when a file was loaded."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", __file__, "--load"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self._child.stdout.readline() == "ready\n"
        self._child.stdin.write(f"{path}\n")
        self._child.stdin.flush()
        child = self._child
        if not select.select([child.stdout], [], [], PATIENCE)[0]:
            child.kill()
        line = child.stdout.readline()
        if line:
            return json.loads(line)
        self._child = None
        return f"crashed or hung: status {child.wait()}"

    def close(self):
        """End the child."""
        if self._child is not None:
            self._child.communicate()


def run(n_files, seed, kept):
    """Damage and load files; return what happened how often, and what must not."""
    rng = random.Random(seed)
    counts = collections.Counter()
    wrong = []
    loader = Loader()
    with tempfile.TemporaryDirectory() as folder:
        contents = save_models(folder)
        path = Path(folder, "damaged.safetensors")
        for number in range(n_files):
            content = rng.choice(contents)
            damage = rng.choice(DAMAGE)
            path.write_bytes(damage(rng, content, contents))
            found = loader.load(path)
            kind = found if found in ("refused", "loaded") else "wrong"
            counts[damage.__name__, kind] += 1
            if kind == "wrong":
                wrong.append(f"file {number}, {damage.__name__}: {found}")
                if kept:
                    os.makedirs(kept, exist_ok=True)
                    Path(kept, f"{number}.safetensors").write_bytes(path.read_bytes())
        loader.close()
    return counts, wrong


def main():
    """Read the arguments; load files, or damage files and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", metavar="DIR", help="where to keep what went wrong")
    parser.add_argument("--load", action="store_true", help="be the child that loads")
    options = parser.parse_args()
    if options.load:
        load_all()
        return 0
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    counts, wrong = run(options.files, seed, options.keep)
    for damage in dict.fromkeys(DAMAGE):
        name = damage.__name__
        parts = [f"{counts[name, kind]} {kind}" for kind in ("refused", "loaded")]
        print(f"{name:<20}{', '.join(parts)}")
    print("\n".join(wrong[:50]))
    print(f"{options.files} files, {len(wrong)} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
