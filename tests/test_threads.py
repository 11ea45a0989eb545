"""The number of threads: set, resolved, given back, and never a crash."""

import os
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from joblib import Parallel, delayed

import fastgru
from cases import assert_same_results, make_case, num_threads, run_layer
from children import run_python
from fastgru._threads import parallel_region, resolve_n_jobs

ALL = fastgru.get_num_threads()


@pytest.fixture
def numba_threads():
    """Give Numba's own number of threads back after the test."""
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


# -- get and set --


def test_at_first_all_that_numba_has():
    code = "import fastgru, numba; print(fastgru.get_num_threads(), {})"
    printed = run_python(code.format("numba.config.NUMBA_NUM_THREADS"))
    first, available = printed.split()
    assert first == available
    assert run_python(code.format("1"), NUMBA_NUM_THREADS="1").split()[0] == "1"


@pytest.mark.parametrize("n", [1, np.int64(1), ALL])
def test_what_is_set_is_got(n):
    with num_threads(n):
        assert fastgru.get_num_threads() == n
        assert type(fastgru.get_num_threads()) is int
    assert fastgru.get_num_threads() == ALL


@pytest.mark.parametrize("n", [0, -1, numba.config.NUMBA_NUM_THREADS + 1])
def test_numbers_out_of_range_are_refused(n):
    with pytest.raises(ValueError, match=f"n must be from 1 to .* threads, got {n}"):
        fastgru.set_num_threads(n)
    assert fastgru.get_num_threads() == ALL


@pytest.mark.parametrize("n", [True, 1.0, 1.5, "1", None, [1]], ids=repr)
def test_what_is_no_whole_number_is_refused(n):
    with pytest.raises(TypeError, match="n must be a whole number of threads, got"):
        fastgru.set_num_threads(n)
    assert fastgru.get_num_threads() == ALL


# -- n_jobs --


def test_n_jobs_counts_as_in_joblib():
    assert resolve_n_jobs(None) == ALL
    assert resolve_n_jobs(1) == 1
    assert resolve_n_jobs(ALL + 100) == ALL
    assert resolve_n_jobs(-1) == ALL
    assert resolve_n_jobs(-2) == max(1, ALL - 1)
    assert resolve_n_jobs(-ALL - 100) == 1


def test_n_jobs_follows_the_number_of_threads():
    with num_threads(1):
        assert [resolve_n_jobs(n) for n in (None, 1, 2, -1)] == [1, 1, 1, 1]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_in_a_joblib_worker_none_is_one_thread(backend):
    # Without its option, loky would leave its processes one thread anyway.
    code = """
        import sys
        from joblib import Parallel, delayed, parallel_config
        from fastgru._threads import get_num_threads, resolve_n_jobs
        backend = sys.argv[1]
        options = {"inner_max_num_threads": 2} if backend == "loky" else {}
        tasks = [delayed(resolve_n_jobs)(n) for n in (None, None, 1)]
        with parallel_config(backend, n_jobs=2, **options):
            print(*Parallel()([*tasks, delayed(get_num_threads)()]))
    """
    *resolved, available = run_python(code, backend).split()
    assert resolved == ["1", "1", "1"]
    assert int(available) >= 2


@pytest.mark.usefixtures("two_threads")
def test_a_number_counts_in_a_joblib_worker_too():
    tasks = [delayed(resolve_n_jobs)(n) for n in (None, 2, -1)]
    with num_threads(2):
        assert Parallel(n_jobs=2, backend="threading")(tasks) == [1, 2, 2]
        assert resolve_n_jobs(None) == 2


# -- parallel regions --


@pytest.mark.parametrize("before", [1, 2, 3, 4])
def test_numbas_own_number_is_lowered_and_given_back(before):
    code = """
        import sys
        import numba
        from fastgru._threads import parallel_region
        numba.set_num_threads(int(sys.argv[1]))
        with parallel_region(3) as granted:
            print(granted, numba.get_num_threads())
        print(numba.get_num_threads())
        try:
            with parallel_region(2):
                raise ZeroDivisionError
        except ZeroDivisionError:
            print(numba.get_num_threads())
        with parallel_region(4) as granted:
            print(granted, numba.get_num_threads())
    """
    printed = run_python(code, str(before), NUMBA_NUM_THREADS="4").split()
    n = str(before)
    assert printed == ["3", str(min(before, 3)), n, n, "4", n]


@pytest.mark.usefixtures("two_threads", "numba_threads")
@pytest.mark.parametrize("in_teams", [False, True])
def test_a_call_of_several_threads_is_right_where_numba_has_one(in_teams):
    case = make_case((20, 64, 32, 64), dtype=np.float32)
    expected = run_layer(case)
    with num_threads(2, in_teams=in_teams):
        numba.set_num_threads(1)
        found = run_layer(case)
    assert_same_results(found, expected)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "variable", [None, "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"], ids=str
)
def test_threads_start_with_few_looks_unless_the_user_chose(variable):
    code = """
        import os
        import numba
        from fastgru import _threads
        before, seen = dict(os.environ), []
        start = numba.get_num_threads

        def noted():
            seen.append(os.environ.get("GOMP_SPINCOUNT"))
            return start()

        numba.get_num_threads = noted
        for _ in range(2):
            with _threads.parallel_region(2):
                pass
        print(seen, dict(os.environ) == before, _threads.find_threading_layer())
    """
    given = {} if variable is None else {variable: "PASSIVE"}
    if variable == "GOMP_SPINCOUNT":
        given = {variable: "77"}
    seen = {None: "['12000']", "GOMP_SPINCOUNT": "['77']"}
    printed = run_python(code, **given)
    assert printed.startswith(f"{seen.get(variable, '[None]')} True ")
    assert printed.split()[-1] in ("omp", "tbb", "workqueue")


@pytest.mark.usefixtures("two_threads", "numba_threads")
def test_calls_leave_numbas_own_number_alone():
    case = make_case((20, 64, 32, 64), dtype=np.float32)
    numba.set_num_threads(1)
    with num_threads(2):
        run_layer(case)
    assert numba.get_num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_a_region_inside_another_gets_one_thread():
    with parallel_region(2) as outer:
        with parallel_region(2) as inner, parallel_region(1) as innermost:
            assert (outer, inner, innermost) == (2, 1, 1)
        with parallel_region(2) as inner:
            assert inner == 1  # the outer one has not ended
    with parallel_region(2) as again:
        assert again == 2


# -- processes and Python threads; each threading layer answers in its own way --

PROBLEM = """
    import sys
    import warnings
    import numpy as np
    import fastgru
    from fastgru.layers import sharing

    # Share even this little work between threads.
    sharing._SMALLEST_PARALLEL = 0
    rng = np.random.default_rng(0)
    gru = fastgru.GRU(16, 64, random_state=0)
    x = rng.standard_normal((30, 40, 16)).astype(np.float32)
    X, y = rng.standard_normal((40, 12, 3)), np.arange(40) % 2

    def layer():
        output, h_n, pullback = gru.vjp(x)
        gradients = pullback(output)
        return output.tobytes() + gradients.parameters["weight_hh_l0"].tobytes()

    def estimator():
        clf = fastgru.GRUClassifier(64, max_iter=3, tol=0, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clf.fit(X, y).predict_proba(X).tobytes()
"""


def run_on_layer(layer, code):
    """Run the problem and some code on a threading layer, or skip without it."""
    check = """
    import numba
    try:
        layer()
    except ValueError as error:
        assert "No threading layer could be loaded" in str(error)
        print("no such layer")
        sys.exit()
    assert numba.threading_layer() == sys.argv[1]
    """
    variables = {"NUMBA_THREADING_LAYER": layer}
    if layer == "tbb":  # its package puts the library there
        variables["LD_LIBRARY_PATH"] = str(Path(sys.prefix) / "lib")
    printed = run_python(PROBLEM + check + code, layer, **variables)
    if printed.startswith("no such layer"):
        pytest.skip(f"threading layer {layer}: not part of this Numba")
    return printed.split()


each_threading_layer = pytest.mark.parametrize("layer", ["omp", "tbb", "workqueue"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork: not on this system")
@pytest.mark.usefixtures("two_threads")
@each_threading_layer
def test_a_forked_child_computes_the_same_bits(layer):
    code = """
    import os
    expected = layer(), estimator()
    child = os.fork()
    if child == 0:
        try:
            same = (layer(), estimator()) == expected
        except BaseException:
            same = False
        os._exit(0 if same else 3)
    print("child", os.waitpid(child, 0)[1])
    print("parent", int((layer(), estimator()) == expected))
    """
    assert run_on_layer(layer, code) == ["child", "0", "parent", "1"]


@pytest.mark.usefixtures("two_threads")
@each_threading_layer
def test_python_threads_may_call_one_layer_at_once(layer):
    # The workqueue layer ends the process if two threads are inside it.
    code = """
    from concurrent.futures import ThreadPoolExecutor
    expected = layer()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: layer(), range(60)))
    print(sum(result == expected for result in results))
    expected = estimator()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: estimator(), range(4)))
    print(sum(result == expected for result in results))
    """
    assert run_on_layer(layer, code) == ["60", "4"]
