#!/bin/sh
# `vllm` in the image of the tests. Like the real one it makes its folders before anything else, and ends where it may not.
set -eu
cache=${VLLM_CACHE_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/vllm}
for folder in "$cache/torch_compile_cache" "${TRITON_CACHE_DIR:-$HOME/.triton/cache}" "$HOME/.config/vllm" "${TMPDIR:-/tmp}"; do
  mkdir -p "$folder"
  touch "$folder/.written"
done
exec /opt/imitation/runtime /opt/imitation/engine/vllm.ts "$@"
