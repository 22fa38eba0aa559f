package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"lockstep/internal/suite"
)

// doVersion is `lockstep version`.
func doVersion(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	others, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	if len(others) > 0 {
		return c.misused(fs, std, "%q is one argument too many", others[0])
	}
	b := thisBuild()
	fmt.Fprintf(std.out, "lockstep %s\n", b.version)
	fmt.Fprintf(std.out, "commit   %s\n", b.commit)
	fmt.Fprintf(std.out, "go       %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, a := range algorithms() {
		fmt.Fprintf(std.out, "%-8s %s\n", a.kind, strings.Join(a.names, ", "))
	}
	return exitOK
}

// build is where this program comes from.
type build struct{ version, commit string }

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{"(unknown)", "(unknown)"}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		commit = "unknown: not built from a repository, or with -buildvcs=false"
	} else if settings["vcs.modified"] == "true" {
		commit += " (modified)"
	}
	if t := settings["vcs.time"]; t != "" {
		commit += " " + t
	}
	return build{cmp.Or(info.Main.Version, "(devel)"), commit}
}

// transforms is how far the numbers of IKEv2's transforms are looked through: IANA's are below, the rest is private.
const transforms = 1024

type algorithmList struct {
	kind  string
	names []string
}

// algorithms are asked of package suite, number by number, so that no list here can be wrong.
func algorithms() []algorithmList {
	ciphers, prfs, groups := algorithmList{kind: "ciphers"}, algorithmList{kind: "prf"}, algorithmList{kind: "groups"}
	for id := range uint16(transforms) {
		if name := cipherName(id); name != "" {
			ciphers.names = append(ciphers.names, name)
		}
		if p, ok := suite.PRFByID(id); ok {
			prfs.names = append(prfs.names, p.String())
		}
		if g, ok := suite.GroupByID(id); ok {
			groups.names = append(groups.names, fmt.Sprintf("%d (%v)", id, g))
		}
	}
	return []algorithmList{ciphers, prfs, groups}
}

// cipherName is one encryption transform with its key lengths, and what may authenticate it; empty: not supported.
func cipherName(encr uint16) string {
	var name string
	var bits, hashes []string
	for _, n := range []uint16{128, 192, 256} {
		for integ := range uint16(64) {
			c := suite.Cipher{Encr: encr, KeyBits: n, Integ: integ}
			if c.Check() != nil {
				continue
			}
			name = c.EncrName()
			bits = appendNew(bits, fmt.Sprint(n))
			if !c.AEAD() {
				hashes = appendNew(hashes, c.HashName())
			}
		}
	}
	if len(bits) > 0 {
		name += " " + strings.Join(bits, "/")
	}
	if len(hashes) > 0 {
		name += " with " + strings.Join(hashes, "/")
	}
	return name
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
