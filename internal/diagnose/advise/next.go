package advise

import (
	"fmt"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

// Step is a command to type at one device, with what it is for.
type Step struct {
	At      string // device
	Command string
	Why     string
}

// Next are the commands for one flow, in the order in which to type them. Nothing is cleared before it was looked at,
// and nothing beyond the one peer.
func Next(j verdict.Judged, configs []*Config) []Step {
	switch j.Verdict {
	case verdict.Stranger:
		return strangerSteps(j)
	case verdict.Transient:
		return nil
	}
	if j.Device == j.Evidence[0].File {
		j.Device = "the receiver " + j.Dst.String() // the log names no device
	}
	receiver, sender := ownerOf(configs, j.Dst.String(), j.Device), ownerOf(configs, j.Src.String(), "")
	steps := look(j)
	if receiver != nil {
		steps = append(steps, receiver.switchOn(j)...)
	}
	if sender != nil {
		steps = append(steps, sender.noticeDeath()...)
	}
	return append(steps, clearing(j)...)
}

func ownerOf(configs []*Config, addr, device string) *Config {
	for _, c := range configs {
		for _, a := range c.Addrs() {
			if a.String() == addr {
				return c
			}
		}
	}
	for _, c := range configs {
		if device != "" && c.Hostname == device {
			return c
		}
	}
	return nil
}

// look compares both ends: the SPI is inbound here, and `current outbound` there, or it is neither.
func look(j verdict.Judged) []Step {
	spi := fmt.Sprintf("0x%08X", j.SPI)
	there := "the sender " + j.Src.String()
	switch j.Platform {
	case evidence.ASA:
		return []Step{
			{j.Device, "show crypto ipsec sa peer " + j.Src.String(), "is " + spi + " among the inbound SAs? (it should not be)"},
			{there, "show crypto ipsec sa peer " + j.Dst.String(), "does it still send on " + spi + "?"}}
	case evidence.StrongSwan:
		return []Step{
			{j.Device, "swanctl --list-sas", "which SPIs does it receive on (in)?"},
			{there, "swanctl --list-sas", "does it still send on " + spi + "? (on Linux: ip xfrm state)"}}
	case evidence.Libreswan, evidence.Linux:
		return []Step{
			{j.Device, "ip xfrm state list src " + j.Src.String() + " dst " + j.Dst.String(), "is " + spi + " there? (it should not be)"},
			{j.Device, "cat /proc/net/xfrm_stat", "does XfrmInNoStates still rise?"},
			{there, "ip xfrm state list src " + j.Src.String() + " dst " + j.Dst.String(), "does it still have " + spi + "?"}}
	}
	return []Step{
		{j.Device, "show crypto ipsec sa peer " + j.Src.String() + " | include spi|endpt", "is " + spi + " among the inbound SAs? (it should not be)"},
		{j.Device, "show crypto session remote " + j.Src.String() + " detail", "is there an IKE SA over which a Delete could go? D: DPD is on"},
		{j.Device, "show platform hardware qfp active feature ipsec datapath drops all | include SPI", "IOS XE: take it twice; row 4 must rise if it goes on"},
		{there, "show crypto ipsec sa peer " + j.Dst.String() + " | include current outbound", "does it still send on " + spi + "?"}}
}

// switchOn is what would let the receiver heal this by itself. For IKEv2 there is no such command.
func (c *Config) switchOn(j verdict.Judged) []Step {
	if c.ASA {
		return nil
	}
	for _, e := range c.Entries() {
		for _, p := range e.Peers {
			if p == j.Src && e.Recovery == "yes" && !e.IKEv2 && c.recovery == nil {
				return []Step{{c.name(), "crypto isakmp invalid-spi-recovery", "configuration: lets it begin IKE with " + j.Src.String() + " (" + e.Name + ", " + e.Type + ") when it has no IKE SA"}}
			}
		}
	}
	return nil
}

func (c *Config) noticeDeath() []Step {
	for _, e := range c.Entries() {
		if e.DPD || e.Recovery == "n/a" {
			continue
		}
		command := "crypto isakmp keepalive 10 3 on-demand"
		if e.IKEv2 {
			command = "crypto ikev2 dpd 10 3 on-demand"
		}
		return []Step{{c.name(), command, "configuration: the sender notices within about 40 s that its peer lost the SAs"}}
	}
	return nil
}

// clearing ends it now, at the sender if it can be: the receiver has nothing left to clear.
func clearing(j verdict.Judged) []Step {
	there := "the sender " + j.Src.String()
	switch j.Platform {
	case evidence.ASA:
		return []Step{{there, "clear crypto ipsec sa peer " + j.Dst.String(), "ends it now; only this peer"}}
	case evidence.StrongSwan:
		return []Step{{there, "swanctl --terminate --ike NAME --force, then swanctl --initiate --child NAME", "ends it now; NAME from swanctl --list-sas"}}
	case evidence.Libreswan, evidence.Linux:
		return []Step{{there, "ipsec auto --down NAME; ipsec auto --up NAME", "ends it now; NAME of this connection alone"}}
	}
	return []Step{{there, "clear crypto session remote " + j.Dst.String(), "ends it now; only this peer (a bare clear crypto sa takes every tunnel down)"}}
}

func strangerSteps(j verdict.Judged) []Step {
	if j.Platform != evidence.IOS && j.Platform != evidence.AnyPlatform {
		return nil
	}
	return []Step{{j.Device, "show access-lists, then deny esp host " + j.Src.String() + " host " + j.Dst.String() + " on the outside interface",
		"if the noise matters: nothing of yours is broken"}}
}

// Applet is an EEM applet that freezes the evidence of the next occurrence on the box that sees it. It is written for
// IOS 12.4(22)T and later (EEM 3.0), and our own text.
func Applet(j verdict.Judged) []string {
	if j.Platform != evidence.IOS {
		return nil
	}
	peer := j.Src.String()
	file := "flash:inv-spi.txt"
	show := []string{"show clock", "show crypto isakmp sa detail", "show crypto ikev2 sa detailed", "show crypto ipsec sa peer " + peer + " detail", "show crypto session remote " + peer + " detail", "show logging"}
	out := []string{
		"event manager applet CATCH-INV-SPI",
		` event syslog pattern "INV_SPI.*srcaddr=` + escape(peer) + `($|[^0-9])" maxrun 60 ratelimit 300`,
		` action 010 cli command "enable"`,
	}
	n := 20
	for _, s := range show {
		out = append(out, fmt.Sprintf(` action %03d cli command "%s | append %s"`, n, s, file))
		n += 10
	}
	out = append(out,
		fmt.Sprintf(` action %03d cli command "undebug all"`, n),
		fmt.Sprintf(` action %03d syslog msg "invalid SPI from %s: state written to %s"`, n+10, peer, file))
	return out
}

// escape makes an address a pattern that fits it alone: EEM's patterns are regular expressions.
func escape(addr string) string {
	out := ""
	for _, c := range addr {
		if c == '.' {
			out += `\`
		}
		out += string(c)
	}
	return out
}
