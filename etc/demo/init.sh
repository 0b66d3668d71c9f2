#!/bin/busybox sh
# The demo guest's only program: says on the serial console what it finds, and waits for the power button.
. /start.sh

driver_of() { basename "$(readlink "$1/driver")"; }
hex() { printf '%d' "0x$1"; }

# Devices that are found late, such as a disk behind a controller, are waited for as long as something still settles.
settle() {
  before=
  for try in 1 2 3 4 5 6 7 8 9 10; do
    now=$(ls /sys/block /sys/class/net /sys/class/tpm 2>/dev/null)
    [ "$now" != "$before" ] || return
    before=$now
    usleep 200000
  done
}
settle

# Firmware leaves the cursor anywhere.
printf '\n--- ezvm demo guest ---\n'
echo "kernel: $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
if [ -d /sys/firmware/efi ]; then firmware=UEFI; else firmware=BIOS; fi
echo "firmware: $firmware, $(cat /sys/class/dmi/id/bios_vendor)"
echo "machine: $(cat /sys/class/dmi/id/sys_vendor) $(cat /sys/class/dmi/id/product_name), uuid $(cat /sys/class/dmi/id/product_uuid)"
echo "cpus: $(grep -c ^processor /proc/cpuinfo), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"

# The kernel keeps part of the memory for itself; its memory blocks add up to what the machine has.
blocks=$(ls -d /sys/devices/system/memory/memory* 2>/dev/null | wc -l)
block=$(cat /sys/devices/system/memory/block_size_bytes 2>/dev/null)
free=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
echo "memory: $((blocks * $(hex "${block:-0}") / 1048576)) MiB, $free MiB of them usable"

for disk in /sys/block/*; do
  [ -e "$disk/device" ] || continue
  # virtio says its serial number of the disk, NVMe of the controller, SCSI in an answer with a header of four bytes.
  serial=$(cat "$disk/serial" "$disk/device/serial" 2>/dev/null || tail -c +5 "$disk/device/vpd_pg80" 2>/dev/null)
  for device in "$disk/device" "$disk/device/device"; do [ ! -e "$device/driver" ] || driver=$(driver_of "$device"); done
  if [ "$(cat "$disk/ro")" = 1 ]; then only=', read only'; else only=; fi
  echo "disk: ${disk##*/}, $(($(cat "$disk/size") / 2048)) MiB, serial $(echo ${serial:-none})$only, driver $driver"
done

for card in /sys/class/net/*; do
  [ -e "$card/device" ] || continue
  name=${card##*/}
  ip link set "$name" up
  udhcpc -i "$name" -n -q -f -t 5 -T 2 -s /init >/dev/null 2>&1
  address=$(ip -4 addr show dev "$name" | sed -n 's/.* inet \([0-9./]*\).*/\1/p')
  router=$(ip route | sed -n 's/^default via \([0-9.]*\).*/\1/p')
  echo "network: $name, $(cat "$card/address"), driver $(driver_of "$card/device"), address ${address:-none} by DHCP, router ${router:-none}"
done

tpm=none
for chip in /sys/class/tpm/tpm*; do
  [ ! -e "$chip/tpm_version_major" ] || tpm="version $(cat "$chip/tpm_version_major"), PCR 0 $(cat "$chip/pcr-sha256/0")"
done
echo "tpm: $tpm"
echo '--- end of report ---'

for event in /sys/class/input/event*; do
  [ "$(cat "$event/device/name")" = 'Power Button' ] || continue
  echo 'waiting for the power button'
  dd if="/dev/input/${event##*/}" of=/dev/null bs=24 count=1 2>/dev/null
  echo 'power button pressed: shutting down'
done
sync
poweroff -f
