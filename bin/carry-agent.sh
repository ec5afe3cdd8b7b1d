#!/bin/sh
# Copies the agent of Stoker, with Node and its C++ runtime, from Stoker's image into a folder that an engine's image mounts.
# carry-agent.sh APP TO: APP is the folder of Stoker. The built-in engine and its libraries stay behind.
set -eu
app=$1
to=$2
node=$(readlink -f "$(command -v node)")
mkdir -p "$to/lib" "$to/app/node_modules"
cp "$node" "$to/node"
ldd "$node" | sed -n 's/.*=> \(\/[^ ]*\/\(libstdc++\|libgcc_s\|libatomic\)[^ ]*\) .*/\1/p' | while read -r library; do
  cp -L "$library" "$to/lib/"
done
cp -r "$app/bin" "$app/dist" "$app/package.json" "$to/app/"
for package in "$app/node_modules"/* ; do
  case ${package##*/} in
    node-llama-cpp | @node-llama-cpp) ;;
    *) cp -r "$package" "$to/app/node_modules/" ;;
  esac
done
cp "$app/bin/carried-agent.sh" "$to/run.sh"
