package interop

import (
	"os/exec"
	"strings"
	"testing"

	"lockstep/internal/testing/lab"
)

// What the tutorial tells its reader to type, in the lab of `make lab`: a ping through the tunnel, a crash, the ping again,
// the incident; and nothing is left behind.
func TestTutorialLabHealsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	lab.NeedSwan(t)
	const script = `set -e
ha ping -c 1 -W 5 10.2.0.2
lockstep exec 'show crypto session' | grep UP-ACTIVE
swan --list-sas | grep INSTALLED
hb ping -i 0.1 -c 40 10.1.0.2 >"$LAB/ping" &
ping=$!
sleep 1
kill-lockstep
start-lockstep -frozen
wait $ping
lockstep exec 'show crypto recovery'
grep received "$LAB/ping"`
	out, err := exec.Command("../../../scripts/lab.sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"UP-ACTIVE", "INSTALLED", "recovery", "D01", "40 packets transmitted"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	left, err := exec.Command("sh", "-c", "ip netns list; ls -d /tmp/lockstep-lab.* 2>/dev/null; pgrep -f /tmp/lockstep-lab[.]").CombinedOutput()
	if strings.Contains(string(left), "lockstep-lab-") || strings.Contains(string(left), "/tmp/lockstep-lab.") {
		t.Errorf("left behind: %v\n%s", err, left)
	}
}
