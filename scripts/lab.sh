#!/usr/bin/env bash
# The lab of the tutorial (`make lab`): two sites with a router between them, Lockstep at site A, strongSwan at site B, and
# a shell. When the shell ends, everything that the lab made is gone: processes, namespaces, files.
#
#   ha 10.1.0.2 ── a 10.1.0.1, 192.0.2.1 ── router 198.51.100.1 ── b 192.0.2.2, 10.2.0.1 ── hb 10.2.0.2
#
# Usage: lab.sh [-c COMMANDS]   with -c the commands are run instead of an interactive shell
set -euo pipefail

fail() { echo "lab: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "needs root, for network namespaces: sudo make lab"
charon=/usr/lib/ipsec/charon
for need in ip swanctl ping "$charon" /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so; do
  [ -e "$need" ] || command -v "$need" >/dev/null || fail "$need is missing: scripts/packages.sh installs what the labs use"
done

commands=
if [ "${1:-}" = -c ]; then
  commands=${2:?lab: -c wants commands}
  shift 2
fi
[ $# -eq 0 ] || fail "usage: lab.sh [-c COMMANDS]"

cd "$(dirname "$0")/.."
places=(ha a router b hb)
name() { echo "lockstep-lab-$1"; }

dir=$(mktemp -d /tmp/lockstep-lab.XXXXXX)
made=()
cleanup() {
  set +e
  trap '' INT TERM
  local pid place
  for pid in "$dir"/*.pid; do
    [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null
  done
  for _ in $(seq 50); do
    running=
    for pid in "$dir"/*.pid; do [ -s "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null && running=1; done
    [ -z "$running" ] && break
    sleep 0.1
  done
  for pid in "$dir"/*.pid; do [ -s "$pid" ] && kill -9 "$(cat "$pid")" 2>/dev/null; done
  for place in "${made[@]}"; do ip netns delete "$(name "$place")"; done
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# Names are fixed, so that the tutorial can use them: one lab at a time.
for place in "${places[@]}"; do
  ip netns add "$(name "$place")" 2>/dev/null || fail "namespace $(name "$place") exists: is another lab running? (ip netns delete $(name "$place") removes it)"
  made+=("$place")
done

in_ns() { local place=$1; shift; ip netns exec "$(name "$place")" "$@"; }
link() { # place interface place interface
  ip link add "$2" netns "$(name "$1")" type veth peer name "$4" netns "$(name "$3")"
  ip -n "$(name "$1")" link set "$2" up
  ip -n "$(name "$3")" link set "$4" up
}
link ha eth0 a lan0
link hb eth0 b lan0
link a wan0 router a0
link b wan0 router b0
for place in "${places[@]}"; do ip -n "$(name "$place")" link set lo up; done
for place in a router b; do
  in_ns "$place" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
done
site() { # host gateway number
  ip -n "$(name "$1")" address add "10.$3.0.2/24" dev eth0
  ip -n "$(name "$1")" route add default via "10.$3.0.1"
  ip -n "$(name "$2")" address add "10.$3.0.1/24" dev lan0
  ip -n "$(name "$2")" address add "192.0.2.$3/32" dev wan0
  ip -n "$(name "$2")" route add default via 198.51.100.1 dev wan0 onlink
  in_ns "$2" sysctl -qw net.ipv4.conf.wan0.rp_filter=0
  ip -n "$(name router)" address add 198.51.100.1/32 dev "${2}0"
  ip -n "$(name router)" route add "192.0.2.$3/32" dev "${2}0"
}
site ha a 1
site hb b 2
# strongSwan's table 220 is asked before the main one, and with selectors 0.0.0.0/0 it would send what leaves the tunnel
# back into it.
ip -n "$(name b)" rule add to 10.2.0.0/24 lookup main priority 210

mkdir "$dir/bin" "$dir/swanctl"
go build -o "$dir/lockstep" ./cmd/lockstep
cp examples/svti-ikev2-a.conf "$dir/lockstep.conf"

cat >"$dir/strongswan.conf" <<END
charon {
  load = random nonce openssl curve25519 gcm ccm sha1 sha2 aes hmac kdf gmp pem pkcs1 pkcs8 x509 pubkey kernel-libipsec kernel-netlink socket-default vici updown
  plugins {
    vici { socket = unix://$dir/vici }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }
    kernel-libipsec { allow_peer_ts = yes }
  }
  filelog { f { path = $dir/charon.log
    default = 1
    flush_line = yes } }
}
END
cat >"$dir/swanctl/swanctl.conf" <<'END'
connections {
  a {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    proposals = aes256gcm16-prfsha384-ecp256
    # What many gateways are: duplicates stay, and dead peers are not looked for.
    unique = no
    dpd_delay = 0s
    local { auth = psk
      id = 192.0.2.2 }
    remote { auth = psk
      id = 192.0.2.1 }
    children { net { local_ts = 0.0.0.0/0
      remote_ts = 0.0.0.0/0
      esp_proposals = aes256gcm16 } }
  }
}
secrets { ike-a { secret = "correct-horse" } }
END
chmod 600 "$dir/swanctl/swanctl.conf"

command_file() { cat >"$dir/bin/$1"; chmod 755 "$dir/bin/$1"; }
for place in "${places[@]}"; do
  command_file "$place" <<END
#!/bin/sh
exec ip netns exec $(name "$place") "\$@"
END
done
command_file lockstep <<END
#!/bin/sh
# exec and shell go to the gateway of the lab
case "\$1" in
exec|shell) c=\$1; shift; exec $dir/lockstep "\$c" -socket $dir/sock "\$@" ;;
esac
exec $dir/lockstep "\$@"
END
command_file swan <<END
#!/bin/sh
exec env SWANCTL_DIR=$dir/swanctl STRONGSWAN_CONF=$dir/strongswan.conf swanctl "\$@" --uri unix://$dir/vici
END
command_file start-lockstep <<END
#!/bin/sh
# start-lockstep [FLAGS of lockstep run]: returns when it takes commands
ip netns exec $(name a) $dir/lockstep run -c $dir/lockstep.conf -state $dir/state -socket $dir/sock "\$@" >>$dir/lockstep.log 2>&1 &
echo \$! >$dir/lockstep.pid
for try in \$(seq 100); do
  $dir/lockstep exec -socket $dir/sock 'show version' >/dev/null 2>&1 && exit 0
  kill -0 \$! 2>/dev/null || { tail -n 3 $dir/lockstep.log; exit 1; }
  sleep 0.05
done
echo "lockstep does not take commands: see $dir/lockstep.log"; exit 1
END
command_file kill-lockstep <<END
#!/bin/sh
pid=\$(cat $dir/lockstep.pid)
kill -9 \$pid
for try in \$(seq 100); do readlink /proc/\$pid/exe >/dev/null 2>&1 || break; sleep 0.02; done # its ports are free then
END
command_file start-strongswan <<END
#!/bin/sh
rm -f $dir/vici
STRONGSWAN_CONF=$dir/strongswan.conf ip netns exec $(name b) unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs none /run && exec $charon' >/dev/null 2>&1 &
echo \$! >$dir/charon.pid
for try in \$(seq 100); do [ -S $dir/vici ] && swan --load-all >/dev/null 2>&1 && exit 0; sleep 0.05; done
echo "strongSwan does not start: see $dir/charon.log"; exit 1
END

export PATH="$dir/bin:$PATH" LAB=$dir
start-strongswan || fail "strongSwan did not start"
start-lockstep || fail "Lockstep did not start"

if [ -n "$commands" ]; then
  bash -c "$commands"
  exit
fi
cat <<END
Lockstep is at a (192.0.2.1), strongSwan at b (192.0.2.2), a router between them; hosts ha (10.1.0.2) and hb (10.2.0.2).
  a, b, ha, hb, router COMMAND    run a command there:  ha ping 10.2.0.2      router tcpdump -ni a0
  lockstep exec 'COMMAND'         ask the gateway:      lockstep exec 'show crypto session'
  lockstep shell                  its command line
  swan --list-sas                 ask strongSwan
  kill-lockstep; start-lockstep   lose every SA; with start-lockstep -frozen nothing is begun until a packet of the peer
                                  comes on a lost SA:   hb ping 10.1.0.2 &    lockstep exec 'show crypto recovery'
Files are in $dir; all of it goes when you leave this shell.
END
printf 'PS1="lab# "\n' >"$dir/rc"
bash --rcfile "$dir/rc" -i || true
