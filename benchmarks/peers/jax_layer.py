"""JAX: the GRU as a ``lax.scan``, compiled by ``jit``; gradients by ``jax.vjp``.

JAX has no GRU for CPUs; this is the cell of Flax (weights (I, 3H) and (H, 3H), the
input product of all steps before the loop) in PyTorch's variant.  Unrolling the loop by
4 or 16 steps was tried and did not help.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.case import Case, Timed


def _gru(case: Case, parameters: dict, x: jax.Array, lengths: jax.Array) -> jax.Array:
    """Return the states after all steps, (T, B, H)."""
    n = case.hidden_size
    from_input = x @ parameters["w_ih"] + parameters["b_ih"]

    def step(h: jax.Array, inputs: tuple) -> tuple[jax.Array, jax.Array]:
        i, t = inputs
        if case.reset_after:
            recurrent = h @ parameters["w_hh"] + parameters["b_hh"]
            gates = jax.nn.sigmoid(i[:, : 2 * n] + recurrent[:, : 2 * n])
            r, z = gates[:, :n], gates[:, n:]
            candidate = jnp.tanh(i[:, 2 * n :] + r * recurrent[:, 2 * n :])
        else:
            w, b = parameters["w_hh"], parameters["b_hh"]
            gates = i[:, : 2 * n] + (h @ w[:, : 2 * n] + b[: 2 * n])
            gates = jax.nn.sigmoid(gates)
            r, z = gates[:, :n], gates[:, n:]
            product = (r * h) @ w[:, 2 * n :] + b[2 * n :]
            candidate = jnp.tanh(i[:, 2 * n :] + product)
        new = candidate + z * (h - candidate)
        if not case.ragged:
            return new, new
        valid = (t < lengths)[:, jnp.newaxis]
        return jnp.where(valid, new, h), jnp.where(valid, new, 0.0)

    h_0 = jnp.zeros((case.batch, n), x.dtype)
    return jax.lax.scan(step, h_0, (from_input, jnp.arange(case.n_steps)))[1]


def make(case: Case) -> Timed:
    """Make what is timed."""
    jax.config.update("jax_enable_x64", case.dtype == "float64")
    jax.clear_caches()
    arrays = case.arrays()
    x, d_output = jnp.asarray(arrays["x"]), jnp.asarray(arrays["d_output"])
    lengths = jnp.asarray(case.lengths())
    parameters = {
        f"{kind}_{side}": jnp.asarray(arrays[f"{name}_{side}_l0"].T.copy())
        for kind, name in (("w", "weight"), ("b", "bias"))
        for side in ("ih", "hh")
    }

    @jax.jit
    def run(parameters: dict, x: jax.Array) -> jax.Array:
        return _gru(case, parameters, x, lengths)

    @jax.jit
    def run_and_back(parameters: dict, x: jax.Array, d_output: jax.Array) -> tuple:
        output, back = jax.vjp(lambda p, x: _gru(case, p, x, lengths), parameters, x)
        return output, back(d_output)

    def forward() -> jax.Array:
        return jax.block_until_ready(run(parameters, x))

    def step() -> tuple:
        return jax.block_until_ready(run_and_back(parameters, x, d_output))

    def results() -> dict[str, np.ndarray]:
        gradients, d_x = step()[1]
        return {
            "output": np.asarray(forward()),
            "x": np.asarray(d_x),
            "weight_ih_l0": np.asarray(gradients["w_ih"]).T,
            "weight_hh_l0": np.asarray(gradients["w_hh"]).T,
            "bias_ih_l0": np.asarray(gradients["b_ih"]),
            "bias_hh_l0": np.asarray(gradients["b_hh"]),
        }

    return Timed(forward, step, results)
