"""The kernel that is there before the environment is: what the kernelspec's `argv` starts.

It binds the ports, answers what needs no user code, keeps the rest, shows how the build goes on, and
gives everything to the real kernel when that is up. `docs/bootstrap.md` is its page.

Imports nothing: `python -m` loads this file while the working directory still comes first.
"""
