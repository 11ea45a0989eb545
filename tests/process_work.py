"""What processes and threads of the tests are given to do; they import this by name."""

import hashlib
import warnings

import numpy as np

import fastgru
from fastgru.layers import sharing

# Share even this little work between threads.
sharing._SMALLEST_PARALLEL = 0


def work(seed):
    """Train, predict and stream with one seed; give a digest of all results."""
    rng = np.random.default_rng(seed)
    gru = fastgru.GRU(5, 24, random_state=seed)
    x = rng.standard_normal((12, 20, 5)).astype(np.float32)
    output, _, pullback = gru.vjp(x)
    gradients = pullback(output)
    X, y = rng.normal(size=(40, 9, 3)), np.arange(40) % 2
    classifier = fastgru.GRUClassifier(16, max_iter=3, tol=0, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(X, y)
    stream = classifier.stream()
    results = [
        output,
        gradients.parameters["weight_hh_l0"],
        classifier.predict_proba(X),
        *(stream.predict_proba(x_t) for x_t in X[0]),
    ]
    digest = hashlib.sha256()
    for array in results:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
