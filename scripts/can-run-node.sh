#!/usr/bin/env bash
# Ends with 0 where a real node can run: as root, with network namespaces, mounts and control groups of its own. Says on
# standard error what is missing, and ends with 1, where it cannot.
set -euo pipefail

refuse() {
  echo "can-run-node: no node can run here: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || refuse "that needs root"
command -v ip >/dev/null || refuse "there is no iproute2"

name="stoker-probe-$$"
ip netns add "$name" 2>/dev/null || refuse "no network namespace can be made"
made=0
ip link add "ste$$" type veth peer name eth0 netns "$name" 2>/dev/null && made=1
ip netns del "$name"
[ "$made" -eq 1 ] || refuse "no pair of network interfaces can be made"

groups=(/sys/fs/cgroup)
if [ -d /sys/fs/cgroup/memory ]; then groups=(/sys/fs/cgroup/memory /sys/fs/cgroup/cpu); fi
for group in "${groups[@]}"; do
  mkdir "$group/$name" 2>/dev/null || refuse "no control group can be made in $group"
  rmdir "$group/$name"
done

folder=$(mktemp -d)
trap 'rmdir "$folder"' EXIT
mount -t tmpfs none "$folder" 2>/dev/null || refuse "nothing can be mounted"
umount "$folder"
