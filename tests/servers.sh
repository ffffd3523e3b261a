#!/bin/sh
# Installs the real programs that some tests drive, from the distribution's packages.
# Needs root on Debian or Ubuntu; elsewhere install what is named below by hand.
set -eu

PACKAGES="chromium strace e2fsprogs xfsprogs rsync ostree casync curl zstd haproxy nftables
 faketime iptables iproute2 systemd default-jre-headless libzookeeper-java libident"

# etcd, Consul, Prometheus and ngircd would start with the machine if they were installed, so they
# are only unpacked.
# Debian's last release with Consul is bullseye.
BESIDE=/usr/local/lib/headway-servers
BIN=/usr/local/bin
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
for program in etcd consul prometheus ngircd; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -z "$missing" ]; then
    echo "servers: all there"
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "servers: install these by hand:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
apt-get update -qq

# unpack PROGRAM PACKAGE [APT OPTION...]: the package's program, without its service.
unpack() {
    program=$1 package=$2
    shift 2
    mkdir -p "$room/$package" "$BESIDE/$program"
    (cd "$room/$package" && apt-get "$@" -o APT::Sandbox::User=root -qq download "$package" >/dev/null)
    dpkg-deb -x "$room/$package/"*.deb "$BESIDE/$program"
    for place in usr/bin usr/sbin; do
        [ ! -x "$BESIDE/$program/$place/$program" ] ||
            ln -sf "$BESIDE/$program/$place/$program" "$BIN/$program"
    done
}

# The mirror that this machine already uses, with another release, in lists of its own.
unpack_consul() {
    . /etc/os-release
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' "Codename: $VERSION_CODENAME" | head -n 1)
    if [ -z "$mirror" ]; then
        echo "servers: this machine has no mirror of Debian; install consul by hand" >&2
        exit 1
    fi
    mkdir -p "$room/lists/partial" "$room/cache/archives/partial"
    echo "deb [signed-by=$KEYS] $mirror bullseye main" >"$room/sources.list"
    set -- -o Dir::Etc::sourcelist="$room/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$room/lists" -o Dir::Cache="$room/cache"
    apt-get "$@" -o APT::Sandbox::User=root update -qq
    unpack consul consul "$@"
}

packages=""
for name in $missing; do
    case $name in
        etcd) unpack etcd etcd-server ;;
        ngircd) unpack ngircd ngircd ;;
        consul) unpack_consul ;;
        prometheus) unpack prometheus prometheus ;;
        *) packages="$packages $name" ;;
    esac
done
if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # a list of packages
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
echo "servers: installed$missing"
