"""One module per figure of the README; `python -m benchmarks [NAME…]` measures and prints them."""
