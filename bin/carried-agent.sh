#!/bin/sh
# Runs in an engine's image what carry-agent.sh brought there: `run.sh check` says whether the image can, `run.sh agent` does it.
# The engine gets back the library path that its image set (src/main/agent.ts).
here=$(dirname "$0")
STOKER_IMAGE_LIBRARY_PATH=${LD_LIBRARY_PATH-}
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export STOKER_IMAGE_LIBRARY_PATH LD_LIBRARY_PATH
if ! said=$("$here/node" --version 2>&1); then
  sentence="This image cannot run the agent of Stoker: it needs a Linux image with glibc 2.34 or newer. Choose another build of the engine. Node said: $said"
  echo "$sentence" >&2
  # The kubelet shows it as the message of the container.
  echo "$sentence" >"${STOKER_TERMINATION_LOG:-/dev/termination-log}"
  exit 1
fi
[ "$1" = check ] && exit 0
exec "$here/node" "$here/app/bin/stoker.js" "$@"
