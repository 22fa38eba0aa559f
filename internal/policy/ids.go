package policy

// KeepIDs numbers the peers of a configuration that is about to follow old: a peer whose tunnel old has keeps its number,
// others get the lowest that neither uses. So everything that names a peer by number (SAs, tombstones, incidents) names
// the same one after a reload, and a number comes back only when a whole configuration has passed without it. nil: none
// was there before. It is called once, before c is published.
func (c *Config) KeepIDs(old *Config) {
	before, taken := map[int]int{}, map[int]bool{} // number by unit; numbers in use
	if old != nil {
		for _, p := range old.Peers {
			before[p.Tunnel.Unit], taken[p.ID] = p.ID, true
		}
	}
	var fresh []*Peer
	for _, p := range c.Peers {
		id, kept := before[p.Tunnel.Unit]
		if !kept {
			fresh = append(fresh, p)
			continue
		}
		p.ID = id
	}
	next := 0
	for _, p := range fresh {
		for taken[next] {
			next++
		}
		p.ID = next
		next++
	}
}
