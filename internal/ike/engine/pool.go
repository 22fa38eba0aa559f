package engine

import "sync"

// pool runs jobs on at most a fixed number of goroutines, which live only while there is work.
type pool struct {
	wg  *sync.WaitGroup
	max int

	mu      sync.Mutex
	jobs    []func() // guarded by mu: waiting, one for each open barrier at most
	running int      // guarded by mu
	closed  bool     // guarded by mu
}

func newPool(wg *sync.WaitGroup, n int) *pool { return &pool{wg: wg, max: n} }

// do runs job soon. After close it is forgotten.
func (p *pool) do(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.running >= p.max:
		p.jobs = append(p.jobs, job)
	default:
		p.running++
		p.wg.Go(func() { p.work(job) })
	}
}

func (p *pool) work(job func()) {
	for job != nil {
		job()
		job = p.next()
	}
}

func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.jobs) == 0 || p.closed {
		p.running--
		return nil
	}
	job := p.jobs[0]
	p.jobs = p.jobs[1:]
	return job
}

// close forgets waiting jobs; running ones end by themselves.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.jobs = true, nil
}
