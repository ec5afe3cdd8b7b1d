#!/usr/bin/env bash
# Prints the path of a Python that has the official `openai` client in the pinned versions: the one made earlier in
# .cache/openai-python, or else one made here. Everything but the path goes to standard error.
set -euo pipefail

cd "$(dirname "$0")/.."
folder="$PWD/.cache/openai-python"
requirements="$PWD/test/contract-clients/python/requirements.txt"

say() { echo "ensure-openai-python: $*" >&2; }

if [ -x "$folder/bin/python" ] && cmp -s "$requirements" "$folder/installed.txt"; then
  echo "$folder/bin/python"
  exit 0
fi

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  say "there is no Python with venv here; installing the distribution's"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >&2
fi
say "installing the pinned client into $folder"
rm -rf "$folder"
python3 -m venv "$folder" >&2
"$folder/bin/pip" install --quiet --no-input --only-binary :all: --requirement "$requirements" >&2
cp "$requirements" "$folder/installed.txt"
echo "$folder/bin/python"
