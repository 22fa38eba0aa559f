package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withTunnels is a configuration as the compiler makes it: peers in the order of their units, numbered from 0.
func withTunnels(units ...int) *Config {
	c := &Config{}
	for i, unit := range units {
		t := &Tunnel{Unit: unit}
		c.Tunnels = append(c.Tunnels, t)
		c.Peers = append(c.Peers, &Peer{ID: i, Tunnel: t})
	}
	return c
}

// numbers is the ID of each unit.
func numbers(c *Config) map[int]int {
	out := map[int]int{}
	for _, p := range c.Peers {
		out[p.Tunnel.Unit] = p.ID
	}
	return out
}

func TestPeersKeepTheirNumbersAcrossReloads(t *testing.T) {
	for name, c := range map[string]struct {
		reloads [][]int       // units of each configuration, one after the other
		want    []map[int]int // number of each unit after each
	}{
		"the first one": {[][]int{{5, 7}}, []map[int]int{{5: 0, 7: 1}}},
		"insertion before the others": {[][]int{{10, 20}, {1, 10, 15, 20}},
			[]map[int]int{{10: 0, 20: 1}, {1: 2, 10: 0, 15: 3, 20: 1}}},
		"removal of the first": {[][]int{{10, 20, 30}, {20, 30}},
			[]map[int]int{{10: 0, 20: 1, 30: 2}, {20: 1, 30: 2}}},
		"another order": {[][]int{{10, 20, 30}, {30, 10, 20}},
			[]map[int]int{{10: 0, 20: 1, 30: 2}, {30: 2, 10: 0, 20: 1}}},
		"a number never comes again": {[][]int{{10, 20}, {20, 30}, {20, 30, 40}},
			[]map[int]int{{10: 0, 20: 1}, {20: 1, 30: 2}, {20: 1, 30: 2, 40: 3}}},
		"everything is replaced": {[][]int{{1, 2}, {3, 4}, {5, 6}},
			[]map[int]int{{1: 0, 2: 1}, {3: 2, 4: 3}, {5: 4, 6: 5}}},
		"gone and back":            {[][]int{{1, 2}, {2}, {1, 2}}, []map[int]int{{1: 0, 2: 1}, {2: 1}, {1: 2, 2: 1}}},
		"from nothing, to nothing": {[][]int{{}, {8, 9}, {}, {8}}, []map[int]int{{}, {8: 0, 9: 1}, {}, {8: 2}}},
	} {
		var before *Config
		for i, units := range c.reloads {
			now := withTunnels(units...)
			now.KeepIDs(before)
			if diff := cmp.Diff(c.want[i], numbers(now)); diff != "" {
				t.Errorf("%s, configuration %d: %s", name, i, diff)
			}
			before = now
		}
	}
}

func TestNumbersStayUnique(t *testing.T) {
	before := withTunnels(0, 1, 2, 3, 4, 5, 6, 7)
	for round := range 50 {
		var units []int
		for u := range 12 {
			if (u*7+round*5)%3 != 0 {
				units = append(units, u)
			}
		}
		now := withTunnels(units...)
		now.KeepIDs(before)
		seen := map[int]bool{}
		for _, p := range now.Peers {
			if seen[p.ID] || p.ID < 0 {
				t.Fatalf("round %d: number %d of Tunnel%d", round, p.ID, p.Tunnel.Unit)
			}
			seen[p.ID] = true
			if was := before.PeerByTunnel(p.Tunnel.Unit); was != nil && was.ID != p.ID {
				t.Fatalf("round %d: Tunnel%d was %d and is %d", round, p.Tunnel.Unit, was.ID, p.ID)
			}
		}
		before = now
	}
}
