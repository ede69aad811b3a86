"""Where an engine is not installed there is nothing to import, and so no example to run."""

from importlib.util import find_spec

ENGINES = {"dask": "dask", "jax": "jax", "strict": "array_api_strict", "torch": "torch"}
collect_ignore_glob = [f"{folder}/*" for folder, engine in ENGINES.items() if not find_spec(engine)]
