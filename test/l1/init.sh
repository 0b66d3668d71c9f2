#!/bin/busybox sh
# The first program of a VM whose root is the host's own file system, brought by virtiofs: read only there, with a layer
# of memory on top, so that what runs here is the host's node and QEMU and this checkout, and what it writes is forgotten.
# Runs the script that run=… names on the kernel's command line, then powers off.
PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /host /top /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
/bin/busybox --install -s /bin
for module in /modules/*; do insmod "$module" || echo "no module $module"; done

mount -t virtiofs -o ro host /host
mount -t tmpfs top /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work overlay /new
for each in proc sys dev; do mount -o move "/$each" "/new/$each"; done
mount -t tmpfs run /new/run
mkdir -p /new/dev/shm
mount -t tmpfs shm /new/dev/shm

script=$(sed -n 's/.*run=\([^ ]*\).*/\1/p' /new/proc/cmdline)
chroot /new /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh "$script"
echo "script: $?"
sync
poweroff -f
