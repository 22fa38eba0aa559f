package policy

// KeepIDs numbers the peers of a configuration that is about to follow old: a peer whose tunnel old has keeps its number,
// others get numbers that none had before. So everything that names a peer by number, also long after it is gone (SAs,
// tombstones, incidents), names the same one after any reload. nil: none was there before. It is called once, before c is
// published.
func (c *Config) KeepIDs(old *Config) {
	before, next := map[int]int{}, 0 // number by unit
	if old != nil {
		next = old.FreeID
		for _, p := range old.Peers {
			before[p.Tunnel.Unit], next = p.ID, max(next, p.ID+1)
		}
	}
	for _, p := range c.Peers {
		id, kept := before[p.Tunnel.Unit]
		if !kept {
			id = next
			next++
		}
		p.ID = id
	}
	c.FreeID = next
}
