"""The engine: spec, lock, plan and environment. It knows nothing of Jupyter."""
