// Package show reads what operators capture from a terminal: IOS's `show crypto ipsec sa`, `isakmp sa`, `ikev2 sa`,
// `session` and QFP counters, Linux's `ip xfrm state` and /proc/net/xfrm_stat, strongSwan's `swanctl --list-sas`. One
// capture may hold several commands of one device, with or without prompts, whole or filtered with `| include`. It takes
// lines and reports SAs and counters; it compares nothing.
package show
