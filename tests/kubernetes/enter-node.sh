#!/usr/bin/env bash
# enter-node.sh ROOT CLUSTER PAUSE PIDFILE: the script cluster runs this as the first process of new namespaces. It makes the
# folder ROOT the node's root file system, with this machine's programs and settings (read-only), the cluster's folder,
# and empty folders otherwise. Then it executes PAUSE, which does nothing as long as the node exists.
set -euo pipefail

root=$1 cluster=$2 pause=$3 pidfile=$4

# This /proc is still the machine's, so it contains the ID of this process outside the namespaces.
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

# The kubelet would set these for the whole machine if they had other values.
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
# New mounts propagate to the namespaces that are created from this one, as on a normal host.
mount --make-rshared /
exec "$pause"
