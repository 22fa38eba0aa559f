package mgmt

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// DefaultPath is where a gateway listens unless it is told otherwise.
const DefaultPath = "/run/lockstep/lockstep.sock"

// maxPath is the longest name of a unix socket (unix(7): sun_path with its zero).
const maxPath = 107

// open makes the socket, and the directories above it. The name that a dead process left behind is replaced.
//
// Two gateways that start in the same instant could both take it: they are told apart by their UDP ports.
func open(path string) (*net.UnixListener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the socket's name %s has %d octets, and the system takes %d: choose a shorter one with -socket", path, len(path), maxPath)
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := clearStale(path); err != nil {
		return nil, err
	}
	return bind(path)
}

// makeDirectory leaves a directory that exists as it is.
func makeDirectory(dir string) error {
	_, err := os.Stat(dir)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking at the socket's directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the socket's directory: %w", err)
	}
	// Whatever the umask: the socket's own mode says who may come in.
	return os.Chmod(dir, 0o755)
}

// clearStale removes a socket that nobody answers on; anything else that has the name is an error.
func clearStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the socket: %w", err)
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket: remove it, or choose another name with -socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		defer conn.Close()
		return fmt.Errorf("%s answers on %s already: stop it, or give this gateway another -socket", process(peerPID(conn)), path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		// Too busy to answer, of another type, or not ours to open: not dead in any case.
		return fmt.Errorf("%s is in use: stop who uses it, or choose another name with -socket: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket of a dead process: %w", err)
	}
	return nil
}

func bind(path string) (*net.UnixListener, error) {
	// The mode must be right from the first instant: a client that came in before a chmod would stay. Files that others
	// of this process make in that instant get fewer rights than usual, never more.
	before := syscall.Umask(0o117)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(before)
	if err != nil {
		return nil, fmt.Errorf("opening the socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by name; we look whether it is ours still
	return l, nil
}

// removeOwn removes the socket unless another process has the name by now.
func removeOwn(path string, own fs.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(own, now) {
		os.Remove(path)
	}
}

// peerPID is the process at the other end, or 0.
func peerPID(conn net.Conn) int {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// process names one for an operator.
func process(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if pid == 0 || err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name)))
}
