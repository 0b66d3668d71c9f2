#!/bin/busybox sh
# The only program of a guest that does what a script says which it is given over fw_cfg, and tells it on its console.
PATH=/bin
case ${1:-} in
  bound | renew)
    ip addr add "$ip/${mask:-24}" dev "$interface"
    [ -z "${router:-}" ] || ip route replace default via "$router"
    exit ;;
  deconfig | nak | leasefail) exit ;;
esac

/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
/bin/busybox --install -s /bin
for module in /modules/*; do insmod "$module" || echo "no module $module"; done
ip link set lo up

script=/sys/firmware/qemu_fw_cfg/by_name/opt/ezvm.test/script/raw
for try in $(seq 100); do [ ! -e $script ] || break; usleep 50000; done
printf '\n--- script ---\n'
sh $script
echo '--- end of script ---'
# Waits until the console has sent all, which a machine switched off at once would not.
stty cs8 </dev/console
poweroff -f
