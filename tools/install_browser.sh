#!/bin/sh
# Make sure that this machine has a Chromium, for the tests of pages: the distribution's package where there
# is none. Without one those tests are skipped, so that not being able to install it is no failure.
set -eu
for name in "${NIXENV_TEST_BROWSER:-chromium}" chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
run() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
install() {
    echo "installing Chromium from the distribution's package chromium"
    run apt-get update -qq
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
}
if ! { command -v apt-get >/dev/null && install; }; then
    echo "no Chromium here: the tests in tests/browser will be skipped" >&2
fi
