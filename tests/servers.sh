#!/bin/sh
# Installs the real programs that some tests drive, from the distribution's packages.
# Needs root on Debian or Ubuntu; elsewhere install what is named below by hand.
set -eu

PACKAGES="chromium strace e2fsprogs xfsprogs rsync ostree casync curl zstd haproxy nftables iptables iproute2 systemd"

missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "servers: all there ($PACKAGES)"
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "servers: install these by hand:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "servers: installed$missing"
