#!/usr/bin/env bash
# Prints the folder of a go command that can build what the tests need: the one on PATH, the one in /usr/local/go, or the
# distribution's, which is installed when there is none. Everything but the folder goes to standard error.
set -euo pipefail

# From 1.21 on, Go fetches the release that a module asks for. An older one is told to fetch this one.
minor_min=21
version=1.24.9

say() { echo "ensure-go: $*" >&2; }

if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then PATH="$PATH:/usr/local/go/bin"; fi
if ! command -v go >/dev/null; then
  say "there is no Go here; installing the distribution's"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends golang-go ca-certificates >&2
fi

minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -ge "$minor_min" ]; then
  dirname "$(command -v go)"
  exit 0
fi
release=$(go mod download -json "golang.org/toolchain@v0.0.1-go$version.linux-$(go env GOARCH)" |
  sed -n 's/.*"Dir": "\(.*\)",*/\1/p')
# Modules are unpacked read-only and without the bit that lets a file be run.
chmod -R u+w,+X "$release"
chmod +x "$release"/bin/* "$release"/pkg/tool/*/*
echo "$release/bin"
