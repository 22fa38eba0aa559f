// Package read turns logs of IPsec gateways into evidence: IOS and IOS XE, ASA and FTD, strongSwan, libreswan, Linux XFRM
// and Lockstep, in the dressings that relays and journals give them. It judges nothing: package verdict does. A log is
// streamed: lines without a word of IPsec are never parsed, memory does not grow with the file. Package diagnose calls it
// for files, package live for datagrams.
package read
