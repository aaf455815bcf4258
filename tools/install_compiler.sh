#!/bin/sh
# What the tests build packages from source with: a C and C++ compiler, and git for packages at a commit.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

have gcc && have g++ && have make && have git && [ -e /usr/include/stdio.h ] && exit 0

if ! have apt-get; then
    echo "the tests need gcc, g++, make and git; install them with this system's package manager" >&2
    exit 1
fi
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
root apt-get update -qq
root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc g++ libc6-dev make git >/dev/null
