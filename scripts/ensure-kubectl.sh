#!/usr/bin/env bash
# Prints the path of a kubectl that is new enough: the one on PATH, the one built earlier into .cache/bin, or else one
# built by scripts/cluster-tools/build.ts. Everything but the path goes to standard error.
set -euo pipefail

version=1.34
minor_min=30
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

if find_kubectl; then exit 0; fi
say "building kubectl $version (some minutes, once)"
built=$(node_modules/.bin/node scripts/cluster-tools/build.ts kubectl)
mkdir -p "$folder"
ln -sf "$built/kubectl" "$folder/kubectl"
if find_kubectl; then exit 0; fi
say "the kubectl that was built does not run: remove .cache/bin and try again"
exit 1
