#!/bin/busybox sh
# The first program of a VM whose root is the host's own file system, brought by virtiofs and read only but for /run: what
# runs here is the host's node and QEMU and this checkout. Runs the script that run=… names on the kernel's command line,
# and powers off.
. /start.sh

mkdir /host
mount -t virtiofs -o ro host /host
for each in proc sys dev; do mount -o move "/$each" "/host/$each"; done
mount -t tmpfs run /host/run
mkdir -p /host/dev/shm
mount -t tmpfs shm /host/dev/shm

script=$(sed -n 's/.*run=\([^ ]*\).*/\1/p' /host/proc/cmdline)
chroot /host /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh "$script"
echo "script: $?"
sync
poweroff -f
