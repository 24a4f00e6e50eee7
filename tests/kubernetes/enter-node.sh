#!/usr/bin/env bash
# enter-node.sh ROOT CLUSTER PAUSE PIDFILE: run by tests/cluster as the first process of new
# namespaces. Makes the folder ROOT the node's own root: this machine's programs and settings,
# which can only be read there, the cluster's folder, and everything else empty. Then does
# nothing, as PAUSE, while the node lives.
set -euo pipefail

root=$1 cluster=$2 pause=$3 pidfile=$4

# The /proc that is still seen here knows by which id this process goes outside.
read -r pid _ </proc/self/stat
printf '%s\n' "$pid" >"$pidfile"

mkdir -p "$root"/{dev,proc,run,sys,tmp,var/lib,var/log,var/tmp}
mount --bind "$root" "$root"
ln -s /run "$root/var/run"
for name in bin etc lib lib32 lib64 libx32 nix opt sbin usr; do
  if [[ -L /$name ]]; then
    cp --no-dereference "/$name" "$root/$name"
  elif [[ -d /$name ]]; then
    mkdir "$root/$name"
    mount --rbind "/$name" "$root/$name"
    mount -o remount,bind,ro "$root/$name"
  fi
done
mkdir -p "$root$cluster"
mount --bind "$cluster" "$root$cluster"
mount --rbind /dev "$root/dev"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t proc proc "$root/proc"

# The kubelet sets these for the whole machine, unless it finds them as it wants them.
settings=$root/run/settings
mkdir "$settings"
while read -r name value; do
  printf '%s\n' "$value" >"$settings/${name##*/}"
  mount --bind "$settings/${name##*/}" "$root/proc/sys/$name"
done <<'SETTINGS'
kernel/keys/root_maxbytes 25000000
kernel/keys/root_maxkeys 1000000
kernel/panic 10
kernel/panic_on_oops 1
vm/overcommit_memory 1
vm/panic_on_oom 0
SETTINGS

echo 1 >"$root/proc/sys/net/ipv4/ip_forward"
echo node >"$root/proc/sys/kernel/hostname"

cd "$root"
pivot_root . .
umount --lazy .
# As everywhere, new mounts show up in the namespaces that are made from this one.
mount --make-rshared /
exec "$pause"
