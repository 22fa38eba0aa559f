// Package spi makes ESP SPIs that can be recognised later, even after a crash: each is an encrypted counter
// (a keyed permutation of 32 bits), so the gateway can tell an SPI that it issued and forgot from one that
// it never gave out, without storing SPIs.
//
// What survives a crash is the identity file: boot generation, keys with their epoch, the leased counter and what the
// counter was at a few past times. Counters are leased in blocks, the file is on disk before the first SPI of a block
// is used, and a restart goes on behind the lease: no SPI is ever issued twice within an epoch.
//
// It is not the SA database: it does not know which SPIs are in use. The IKE engine calls Next, the healer calls Ours
// and EarlierRun; nothing in the packet path does. RFC 4301 §4.1 leaves the choice of an SPI to the receiver; RFC 4303 §2.1 reserves
// 0 to 255.
package spi
