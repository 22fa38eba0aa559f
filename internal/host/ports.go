package host

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// UDPHolder names the process that holds UDP port at.Port() on an address that conflicts with at.Addr(), in the
// network namespace of the calling thread: "charon (pid 4711)". Empty: nobody; a holder whose process cannot be seen
// (another user's) is "another process".
func UDPHolder(at netip.AddrPort) string {
	for _, table := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		inode, found := socketAt(table, at)
		if !found {
			continue
		}
		if who := holderOf(inode); who != "" {
			return who
		}
		return "another process"
	}
	return ""
}

// socketAt looks for a bound socket in a table of proc_net(5) and returns its inode.
func socketAt(table string, at netip.AddrPort) (inode string, found bool) {
	f, err := os.Open(table)
	if err != nil {
		return "", false
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		col := strings.Fields(s.Text())
		if len(col) < 10 {
			continue
		}
		local, ok := procAddr(col[1])
		if ok && conflicts(local, at) {
			return col[9], true
		}
	}
	return "", false
}

// conflicts reports that a socket bound to have stands in the way of one at want.
func conflicts(have, want netip.AddrPort) bool {
	if have.Port() != want.Port() {
		return false
	}
	h, w := have.Addr().Unmap(), want.Addr().Unmap()
	if h == w {
		return true
	}
	// The unspecified IPv6 address takes the port of IPv4 too.
	return h.IsUnspecified() && (h.Is6() || w.Is4()) || w.IsUnspecified() && (w.Is6() || h.Is4())
}

// procAddr reads "0100007F:01F4": the address in 32-bit words of the machine's order, the port in hexadecimal.
func procAddr(s string) (netip.AddrPort, bool) {
	a, p, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(a)
	port, err2 := strconv.ParseUint(p, 16, 16)
	if !ok || err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}

// holderOf finds the process with an open descriptor of the socket's inode.
func holderOf(inode string) string {
	want := "socket:[" + inode + "]"
	var who string
	fds, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range fds {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
			to, err := os.Readlink(filepath.Join(dir, e.Name()))
			return err == nil && to == want
		}) {
			proc := filepath.Dir(dir)
			comm, _ := os.ReadFile(filepath.Join(proc, "comm"))
			who = fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), filepath.Base(proc))
			break
		}
	}
	return who
}
