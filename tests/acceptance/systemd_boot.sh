# systemd_boot.sh STAGE CGROUP DIRECTORY...
#
# Becomes a systemd of its own, as PID 1 of the PID namespace that it is started in. It sees the
# machine's files through an overlay, so that nothing it does changes any of them, and only the
# units in STAGE/units, so that it starts nothing of the machine's. STAGE and each DIRECTORY are
# what they are outside. The network is the machine's.
set -eu
stage=$1 group=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs "$stage/over"
cd "$stage/over"
mkdir upper work root cgroup
mount -t cgroup2 cgroup2 cgroup
mkdir -p "cgroup/$group"
echo $$ >"cgroup/$group/cgroup.procs"
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
root=$stage/over/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
for place in run tmp etc/systemd; do
    mount -t tmpfs tmpfs "$root/$place"
done
mkdir "$root/etc/systemd/system"
mount -t tmpfs -o ro tmpfs "$root/usr/lib/systemd/system-generators"
mount --bind "$stage/units" "$root/usr/lib/systemd/system"
for directory in "$stage" "$@"; do
    mkdir -p "$root/$directory"
    mount --bind "$directory" "$root/$directory"
done
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --cgroup sh -euc '
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
    exec chroot "$1" env -i container=headway PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /usr/lib/systemd/systemd --system --unit=headway.target --show-status=false \
        --log-target=console
' sh "$root"
