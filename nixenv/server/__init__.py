"""In the Jupyter server, or in a headless client: starting a kernel in its notebook's environment."""
