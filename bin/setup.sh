#!/bin/sh
# Makes a fresh machine ready for `npm run demo` or `npm test`: setup.sh demo|test
# Names what is missing, installs only that, and builds. Says nothing when there is nothing to do.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
die() { say "setup: $*"; exit 3; }

# What is looked for (a program, or the places of a file), and the package that brings it: apt, dnf, pacman. Of several
# names, the first that this release of the distribution has.
wanted() {
  cat <<'END'
qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core qemu-system-x86
swtpm swtpm swtpm swtpm
flock util-linux util-linux util-linux
/usr/share/OVMF/OVMF_CODE_4M.fd,/usr/share/edk2/ovmf/OVMF_CODE.fd,/usr/share/edk2/x64/OVMF_CODE.4m.fd ovmf edk2-ovmf edk2-ovmf
END
  # What the guest is made with: Debian's dpkg-deb is always there.
  case $manager in
    dnf) echo 'cpio - cpio -' && echo 'rpm2cpio - rpm -' ;;
    pacman) echo 'busybox - - busybox' ;;
  esac
  # Ubuntu's and Arch's kernel modules are packed with zstd, which Node itself knows from 22.15 on.
  if [ "$manager" = pacman ] || grep -qs '^ID.*ubuntu' /etc/os-release; then echo 'zstd zstd zstd zstd'; fi
  [ "$mode" = test ] || return 0
  if [ "$manager" = dnf ]; then echo '/usr/lib64/libasan.so.8 - libasan -' && echo '/usr/lib64/libubsan.so.1 - libubsan -'; fi
  # An iSCSI target. Debian's would start at once; test/qemus.mjs unpacks it elsewhere.
  if [ "$manager" = dnf ]; then echo 'tgtd - scsi-target-utils -'; fi
  # Sound servers and a message bus that tests start for themselves. Elsewhere packages of one would replace the desktop's own.
  if [ "$manager" = apt-get ]; then
    echo 'pipewire pipewire - -' && echo 'pipewire-pulse pipewire-pulse - -' && echo 'jackd jackd2 - -' && echo 'dbus-daemon dbus-daemon,dbus - -'
  fi
  # A second daemon of networks is no guest for a machine that has one; in a container none runs.
  if [ ! -d /run/systemd/system ]; then echo 'NetworkManager network-manager NetworkManager networkmanager'; fi
  # QEMU's windows, sounds and SPICE, a screen for the windows, viewers and a hand to click in them, OpenGL, an inner
  # machine's file system, small tools, what builds, checks and tries the setuid helper, and what reads the files of a setup.
  cat <<'END'
swtpm_setup swtpm-tools swtpm-tools swtpm
qemu-img qemu-utils qemu-img qemu-img
qemu-system-aarch64 qemu-system-arm qemu-system-aarch64-core qemu-system-aarch64
/usr/share/AAVMF/AAVMF_CODE.fd,/usr/share/edk2/aarch64 qemu-efi-aarch64 edk2-aarch64 edk2-aarch64
/usr/lib/x86_64-linux-gnu/qemu/ui-gtk.so,/usr/lib64/qemu/ui-gtk.so,/usr/lib/qemu/ui-gtk.so qemu-system-gui qemu-ui-gtk qemu-ui-gtk
/usr/lib/x86_64-linux-gnu/qemu/ui-spice-core.so,/usr/lib64/qemu/ui-spice-core.so,/usr/lib/qemu/ui-spice-core.so qemu-system-modules-spice,qemu-system-common qemu-ui-spice-core qemu-ui-spice-core
/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so,/usr/lib64/qemu/block-iscsi.so,/usr/lib/qemu/block-iscsi.so qemu-block-extra qemu-block-iscsi qemu-block-iscsi
/usr/lib/x86_64-linux-gnu/libEGL.so.1,/usr/lib64/libEGL.so.1,/usr/lib/libEGL.so.1 libegl1 libglvnd-egl libglvnd
/usr/lib/x86_64-linux-gnu/libGLESv2.so.2,/usr/lib64/libGLESv2.so.2,/usr/lib/libGLESv2.so.2 libgles2 libglvnd-gles libglvnd
/usr/lib/x86_64-linux-gnu/dri,/usr/lib64/dri,/usr/lib/dri libgl1-mesa-dri mesa-dri-drivers mesa
Xvfb xvfb xorg-x11-server-Xvfb xorg-server-xvfb
remote-viewer virt-viewer virt-viewer virt-viewer
spicy spice-client-gtk spice-gtk-tools spice-gtk
vncviewer tigervnc-viewer tigervnc tigervnc
xdotool xdotool xdotool xdotool
/usr/libexec/virtiofsd,/usr/lib/qemu/virtiofsd,/usr/lib/virtiofsd virtiofsd,qemu-system-common virtiofsd virtiofsd
passt passt passt passt
openssl openssl openssl openssl
ip iproute2 iproute iproute2
losetup mount util-linux util-linux
useradd passwd shadow-utils shadow
python3 python3 python3 python
ps procps procps-ng procps-ng
cc gcc gcc gcc
/usr/include/stdio.h libc6-dev glibc-devel glibc
readelf binutils binutils binutils
cppcheck cppcheck cppcheck cppcheck
mkfs.ext4 e2fsprogs e2fsprogs e2fsprogs
udevadm udev systemd-udev systemd
/usr/lib/systemd/systemd-networkd,/lib/systemd/systemd-networkd systemd systemd-networkd systemd
lvm lvm2 lvm2 lvm2
sudo sudo sudo sudo
keyctl keyutils keyutils keyutils
doas opendoas opendoas opendoas
END
}

found() {
  for place in $(echo "$1" | tr , ' '); do
    case $place in
      /*) [ ! -e "$place" ] || return 0 ;;
      *) ! command -v "$place" >/dev/null || return 0 ;;
    esac
  done
  return 1
}

apt_name() {
  for name in $(echo "$1" | tr , ' '); do
    if [ "$name" = "$1" ] || apt-cache show "$name" >/dev/null 2>&1; then break; fi
  done
  echo "$name"
}

missing_packages() {
  wanted | while read -r what apt dnf pacman; do
    found "$what" || case $manager in apt-get) apt_name "$apt" ;; dnf) echo "$dnf" ;; pacman) echo "$pacman" ;; *) echo "$what" ;; esac
  done | sort -u | tr '\n' ' '
}

need_space() { # folder, MiB, for what
  free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge "$2" ] || die "$3 needs about $2 MiB in $(cd "$1" && pwd), and $free MiB are free"
}

quietly() { "$@" >>"$log" 2>&1 </dev/null; }

# Shows what the quiet commands said went wrong, and what that means.
explain() {
  grep -E "^E:|npm ERR|[Ee]rror" "$log" | head -n 6 | grep . >&2 || tail -n 12 "$log" >&2
  if grep -qiE 'no space left|enough free space|ENOSPC' "$log"; then
    die "$1 failed: the disk is full"
  elif grep -qiE 'could not resolve|temporary failure|could not connect|unreachable|timed out|connection refused|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT' "$log"; then
    die "$1 failed: no network, or the server cannot be reached"
  fi
  die "$1 failed"
}

has_lists() { ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; }
apt_update() { quietly $sudo apt-get update || explain 'apt-get update'; }

apt_install() {
  set -- $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
  if quietly "$@"; then return 0; fi
  # Old package lists name files that the mirrors no longer have.
  apt_update
  quietly "$@"
}

install_packages() {
  case $manager in
    apt-get) apt_install "$@" ;;
    dnf) quietly $sudo dnf install -y --setopt=install_weak_deps=False "$@" ;;
    pacman) quietly $sudo pacman -S --needed --noconfirm "$@" ;;
  esac
}

mode=${1:-}
case $mode in demo | test) ;; *) say 'usage: setup.sh demo|test'; exit 2 ;; esac

log=$(mktemp)
trap 'rm -f "$log"' EXIT

command -v node >/dev/null || die 'Node.js is missing; 20.19 or newer is needed, with npm'
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
  die "Node.js $(node -v) is too old; 20.19 or newer is needed (see https://nodejs.org/en/download)"
command -v npm >/dev/null || die 'npm is missing; it comes with Node.js, or as the package npm'

manager=
for each in apt-get dnf pacman; do
  if command -v $each >/dev/null; then manager=$each; break; fi
done
sudo=
if [ "$(id -u)" != 0 ]; then sudo=sudo; fi

install="$manager install"
if [ "$manager" = pacman ]; then install='pacman -S'; fi
packages=$(missing_packages)
modules=
if [ ! -e node_modules/.package-lock.json ] || [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
  modules=$(node -p 'const p = require("./package.json"); Object.keys({ ...p.dependencies, ...p.devDependencies }).join(" ")')
fi

if [ -n "$packages" ]; then
  [ -n "$manager" ] || die "found none of apt-get, dnf and pacman; install yourself: $packages"
  if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then die "neither root nor sudo; as root, run: $install $packages"; fi
  if [ "$manager" = apt-get ] && ! has_lists; then apt_update && packages=$(missing_packages); fi
fi
if [ -n "$packages$modules" ]; then
  say 'Missing here, and installed now:'
  [ -z "$packages" ] || say "  from the distribution: $packages"
  [ -z "$packages" ] || [ -z "$sudo" ] || say "    by running: sudo $install $packages"
  [ -z "$modules" ] || say "  from npm, into node_modules, with what they need: $modules"
fi
if [ -n "$packages" ]; then
  if [ "$mode" = test ]; then size=1000; else size=400; fi
  need_space /usr $size 'installing these packages'
  install_packages $packages || explain 'installing packages'
  : >"$log"
  still=$(missing_packages)
  [ -z "$still" ] || die "installed, and yet not found: $still"
fi
if [ -n "$modules" ]; then
  need_space . 300 'npm ci'
  quietly npm ci --ignore-scripts --no-audit --no-fund || explain 'npm ci'
  touch node_modules/.package-lock.json
fi
# A build that was cut short leaves no mark.
if [ ! -e dist/.built ] || [ -n "$(find src templates bin/*.mjs package.json -newer dist/.built)" ]; then
  quietly npm run build || explain 'the build'
  touch dist/.built
fi
