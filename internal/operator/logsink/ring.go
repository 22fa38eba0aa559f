package logsink

// ring keeps the last lines up to a number of octets. Callers serialise its use.
type ring struct {
	size  int // octets
	used  int
	lines []string
}

func (r *ring) add(line string) {
	r.lines = append(r.lines, line)
	r.used += len(line) + 1
	r.trim()
}

// resize keeps the newest lines that fit.
func (r *ring) resize(size int) {
	r.size = size
	r.trim()
}

func (r *ring) trim() {
	drop := 0
	for r.used > r.size && drop < len(r.lines) {
		r.used -= len(r.lines[drop]) + 1
		drop++
	}
	if drop > 0 {
		clear(r.lines[:drop])
		r.lines = r.lines[drop:]
	}
}
