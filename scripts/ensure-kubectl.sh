#!/usr/bin/env bash
# Prints the path of a kubectl that is new enough: the one on PATH, the one built earlier into .cache/bin, or else one
# built here from the Go module proxy, as any Go program is. Everything but the path goes to standard error.
set -euo pipefail

version=1.34.4
minor_min=30
# What version needs to be built with; Go fetches its own newer releases as modules.
go_version=1.24.9
cd "$(dirname "$0")/.."
folder="$PWD/.cache/bin"

say() { echo "ensure-kubectl: $*" >&2; }

is_new_enough() {
  local minor
  minor=$("$1" version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
  [ -n "$minor" ] && [ "$minor" -ge "$minor_min" ]
}

find_kubectl() {
  local candidate
  for candidate in "$(command -v kubectl || true)" "$folder/kubectl"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && is_new_enough "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

ensure_go() {
  if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then PATH="$PATH:/usr/local/go/bin"; fi
  if command -v go >/dev/null; then return 0; fi
  say "there is no Go here; installing the distribution's"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends golang-go ca-certificates >&2
}

# From 1.21 on, Go fetches the release that a module asks for. An older one is told to fetch it here.
ensure_new_go() {
  local minor arch release
  ensure_go
  minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
  if [ "${minor:-0}" -ge 21 ]; then return 0; fi
  arch=$(go env GOARCH)
  release=$(go mod download -json "golang.org/toolchain@v0.0.1-go$go_version.linux-$arch" |
    sed -n 's/.*"Dir": "\(.*\)",*/\1/p')
  chmod -R u+w,+X "$release"
  chmod +x "$release"/bin/* "$release"/pkg/tool/*/*
  PATH="$release/bin:$PATH"
}

# Kubernetes names its staging modules at v0.0.0 and replaces them by folders of its own tree, so "go install" refuses it.
# A module of our own states the published version of each (v0.<minor>.<patch>) instead.
build_kubectl() {
  local staging name
  cd "$workspace"
  export CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN=auto
  go mod init stoker.example/kubectl 2>/dev/null
  go mod edit -require "k8s.io/kubernetes@v$version"
  staging=$(cat "$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",*/\1/p')" |
    sed -n 's|^[[:space:]]*\(k8s.io/[a-z0-9-]*\) => ./staging/.*|\1|p')
  for name in $staging; do
    go mod edit -replace "$name=$name@v0.${version#1.}"
  done
  printf 'package main\n\nimport _ "k8s.io/kubernetes/cmd/kubectl"\n' >import.go
  go mod tidy >&2
  mkdir -p "$folder"
  go build -o "$folder/kubectl" -ldflags "-s -w
    -X k8s.io/component-base/version.gitVersion=v$version
    -X k8s.io/component-base/version.gitMajor=1
    -X k8s.io/component-base/version.gitMinor=$(echo "$version" | cut -d. -f2)" k8s.io/kubernetes/cmd/kubectl
}

if find_kubectl; then exit 0; fi
say "building kubectl $version into .cache/bin (some minutes, once)"
ensure_new_go
workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT
(build_kubectl)
if find_kubectl; then exit 0; fi
say "the kubectl that was built does not run: remove .cache/bin and try again"
exit 1
