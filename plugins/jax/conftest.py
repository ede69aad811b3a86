"""Without JAX there is nothing to import here, and so no example to run."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("jax") else ["*"]
