#!/usr/bin/env bash
# Installs what a real node and image builds need, on Debian and Ubuntu, where it is missing. Says so on standard error.
set -euo pipefail

packages=(containerd runc containernetworking-plugins iptables conntrack nftables iproute2 buildah debootstrap)
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi
echo "ensure-node-packages: installing ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
