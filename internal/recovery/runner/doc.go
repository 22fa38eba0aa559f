// Package runner is the hands of package recovery: it takes stray ESP flows from the packet path, finds out what is known
// of their SPIs, steps the recovery engine, posts its orders to IKE and publishes incidents. One goroutine does it all and
// owns the engine. It imports neither the packet path nor the IKE engine: package gateway wires them (Options).
package runner
