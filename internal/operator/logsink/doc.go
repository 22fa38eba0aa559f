// Package logsink prints events: IOS-style lines into a ring, to a console and to terminals that asked for them, and
// RFC 5424 datagrams to syslog hosts. It applies the rate limit of package event, severities and `debug` switches. It
// decides nothing else: which event happens, and what it says, is package event's.
package logsink
