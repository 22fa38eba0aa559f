package netlink

import (
	"context"
	"fmt"

	lib "github.com/vishvananda/netlink"
)

// Watch signals on the returned channel after links, addresses or routes changed; signals that nobody takes merge into
// one. The channel is never closed; watching ends with ctx, or when the kernel reports faster than it is read: whoever
// depends on it looks at the host once in a while besides.
func (h *Handle) Watch(ctx context.Context) (<-chan struct{}, error) {
	wake := make(chan struct{}, 1)
	links, addrs, routes := make(chan lib.LinkUpdate, 16), make(chan lib.AddrUpdate, 16), make(chan lib.RouteUpdate, 16)
	// Room for a burst of a few thousand changes: an overrun ends the watch.
	const room = 1 << 20
	err := lib.LinkSubscribeWithOptions(links, ctx.Done(), lib.LinkSubscribeOptions{Namespace: &h.ns, ReceiveBufferSize: room})
	if err == nil {
		err = lib.AddrSubscribeWithOptions(addrs, ctx.Done(), lib.AddrSubscribeOptions{Namespace: &h.ns, ReceiveBufferSize: room})
	}
	if err == nil {
		err = lib.RouteSubscribeWithOptions(routes, ctx.Done(), lib.RouteSubscribeOptions{Namespace: &h.ns, ReceiveBufferSize: room})
	}
	if err != nil {
		return nil, fmt.Errorf("watch the host's network: %w", err)
	}
	go forward(links, wake)
	go forward(addrs, wake)
	go forward(routes, wake)
	return wake, nil
}

// forward ends when the library closes from, after ctx ended or its socket failed; a last signal makes the reader look
// once more.
func forward[T any](from <-chan T, wake chan<- struct{}) {
	for range from {
		signal(wake)
	}
	signal(wake)
}

func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
