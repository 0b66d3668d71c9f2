# What the guests made by guest.mjs begin with: their file systems, a console to talk on, busybox's programs and the
# kernel's modules. udhcpc calls a guest's /init too, to set the address it was given.
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
