// Package advise reads configurations of IOS, IOS XE and ASA far enough to say for each crypto entry whether invalid-SPI
// recovery can work with it (docs/protocol.md §2.7), compares the two ends of a tunnel, and says what to type next. It is
// tolerant on purpose: a line that it does not know is passed over, where package config would refuse it, because the
// router that the text comes from runs it. It judges no traffic.
package advise
