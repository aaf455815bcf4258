"""Groups with a process of their own: a worker of the group's environment, and stand-ins for what it holds.

One worker for each group, at the other end of a socket that nobody else has. Plain data travels by value
in an encoding of our own; everything else stays where it is and is referred to. Both ends run the files of
this folder: the kernel under the notebook's Python, the worker under the group's, each 3.8 or newer.
"""
