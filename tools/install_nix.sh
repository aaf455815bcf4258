#!/bin/sh
# Make sure that this machine has a Nix: the distribution's package where there is none.
set -eu
if command -v nix-store >/dev/null && command -v nix-daemon >/dev/null; then exit 0; fi
run() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
if command -v apt-get >/dev/null; then
    echo "installing Nix from the distribution's package nix-bin"
    run apt-get update -qq
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nix-bin >/dev/null
elif command -v dnf >/dev/null; then
    run dnf install -y nix
elif command -v pacman >/dev/null; then
    run pacman -S --noconfirm nix
else
    echo "no Nix here, and no package of it known for this system: see https://nixos.org/download" >&2
    exit 1
fi
