package live

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// enlarge asks for socketBuffer beyond the host's limit, which holds a tenth of a second of 10,000 messages; without the
// right to that it takes what the limit allows.
func enlarge(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var forced error
	err = raw.Control(func(fd uintptr) {
		forced = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, socketBuffer)
	})
	if err == nil && errors.Is(forced, syscall.EPERM) {
		return conn.SetReadBuffer(socketBuffer)
	}
	return errors.Join(err, forced)
}

// kernelDrops is how many datagrams the host dropped because a socket of ours was full (/proc/net/udp, last column).
func kernelDrops(ports []int) uint64 {
	total := uint64(0)
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			total += dropsOf(s.Text(), ports)
		}
		f.Close()
	}
	return total
}

// dropsOf reads `sl: ADDR:PORT … drops` of one socket.
func dropsOf(line string, ports []int) uint64 {
	w := strings.Fields(line)
	if len(w) < 13 {
		return 0
	}
	_, hex, _ := strings.Cut(w[1], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	if err != nil {
		return 0
	}
	for _, p := range ports {
		if uint64(p) == port {
			n, _ := strconv.ParseUint(w[len(w)-1], 10, 64)
			return n
		}
	}
	return 0
}
