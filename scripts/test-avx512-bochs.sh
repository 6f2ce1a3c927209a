#!/usr/bin/env bash
# Run a program on an emulated CPU with AVX-512 and VNNI, detection and encodings included: Bochs (an Ice Lake) boots Debian's
# kernel with the program as its only one. Without arguments: the kernel test, and the self-test with plain kernels: Bochs 2.7
# rounds some ties of vcvtps2ph to odd, which the keys of the self-test's model meet and CPUs do not do. Six minutes.
#
# usage: scripts/test-avx512-bochs.sh [PROGRAM ...]
#
# Installs Debian packages. Everything else happens in a temporary folder. Exits 1 when a program fails.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
programs=("${@:-}")
[ $# -gt 0 ] || programs=("build/tests/kernel/test_kernel avx512vnni" "build/smollm selftest --cpu generic")

packages=(bochs bochs-term bochsbios vgabios busybox-static cpio isolinux syslinux-common xorriso)
dpkg-query -W "${packages[@]}" > /dev/null 2>&1 || {
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
}

folder=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill -9 -- "-$emulator" 2> /dev/null; rm -rf "$folder"' EXIT
cd "$folder"

# The kernel.
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
apt-get download -qq "$kernel" 2> /dev/null
dpkg -x linux-image-*.deb package
mkdir -p disc files/bin files/dev files/proc files/tmp
cp package/boot/vmlinuz-* disc/vmlinuz

# Its files: the programs with their libraries, and an init that runs them.
cp /bin/busybox files/bin
{
    cat << 'END'
#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
exec > /dev/ttyS0 2>&1
/bin/busybox grep -m1 'model name' /proc/cpuinfo
failed=0
END
    for program in "${programs[@]}"; do
        read -r file arguments <<< "$program"
        cp "$root/$file" files/bin
        for library in $(ldd "$root/$file" | grep -o '/[^ ]*\.so[^ ]*'); do
            mkdir -p "files$(dirname "$library")"
            cp -L "$library" "files$library"
        done
        echo "/bin/$(basename "$file") $arguments || failed=1"
    done
    cat << 'END'
echo "status $failed"
/bin/busybox sleep 1
/bin/busybox poweroff -f
END
} > files/init
chmod +x files/init
(cd files && find . | cpio -o -H newc --quiet | gzip -1) > disc/initrd.gz

# What Bochs 2.7 gets wrong: sizes of compacted XSAVE states (pku, xsaves, xsavec), and fast short moves without fast moves
# (fsrm), upon which the kernel's memmove does not end.
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 disc
cat > disc/isolinux.cfg << 'END'
default linux
label linux
 kernel vmlinuz
 append initrd=initrd.gz console=ttyS0 quiet mitigations=off nokaslr clearcpuid=fsrm,pku,xsaves,xsavec
END
xorriso -report_about WARNING -as mkisofs -quiet -o disc.iso -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table disc

cat > bochsrc << 'END'
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_icelake_u, count=1, ips=100000000
memory: guest=512, host=512
ata0-master: type=cdrom, path=disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.txt
clock: sync=none
log: bochs.log
panic: action=fatal
error: action=report
END
echo continue > commands
# Debian's Bochs is the one with a debugger, and its screen wants a terminal.
touch serial.txt
TERM=vt100 setsid script -qec "bochs -q -f bochsrc -rc commands" /dev/null > /dev/null 2>&1 < /dev/null &
emulator=$!
for ((second = 0; second < 3600; second++)); do
    sleep 1
    if grep -q '^status' serial.txt || ! kill -0 "$emulator" 2> /dev/null; then
        break
    fi
done
sed -n '/^model name/,$p' serial.txt
grep -q '^status 0' serial.txt
