#!/usr/bin/env bash
# Installs the Debian packages that the tests with real peers use, when they are missing and we may. Without root it says
# what is missing, and the tests that need it skip with the same reason.
set -euo pipefail

packages=(strongswan-swanctl strongswan-charon libcharon-extra-plugins libstrongswan-extra-plugins
  libstrongswan-standard-plugins libcharon-extauth-plugins tshark tcpdump iproute2 iputils-ping nftables procps)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "packages: not installed, the tests that need them will skip: ${missing[*]}" >&2
  exit 0
fi

# The tests alone start the peers, in their own namespaces: no daemon may start at installation.
made=
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  made=1
fi
trap '[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d' EXIT
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
  echo "packages: the installation failed, the tests that need them will skip: ${missing[*]}" >&2
fi
