// Package tunio is a TUN interface with virtio-net headers: frames of up to 64 KiB in both directions, with the
// kernel's segmentation and checksum offloads (TUNSETOFFLOAD). It does not read the packets, and sets no address or
// route: that is internal/steer's.
//
// A device may be persistent: it then outlives its process, without a reader, and the next process adopts it. That is
// part of never sending in the clear: routes into the tunnel stay, and what enters is dropped by the kernel.
//
// The composition root opens devices; datapath workers read and write them.
package tunio
