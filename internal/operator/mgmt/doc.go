// Package mgmt is the way from an operator to the exec mode of a running gateway: a server on a unix socket, its sessions
// with line editor, history and pager, and the two clients behind `lockstep exec` and `lockstep shell`. It knows no
// command but `terminal …` and `show history`, which change or show the session itself (Commands); operator/cli matches
// lines, operator/exec has the rest. gateway and cmd/lockstep call it.
//
// Whoever may open the socket has privilege 15: its mode, 0660, is the access control. Files of `| redirect` are not
// written for sessions, because the gateway would write them with its own rights.
//
// # The protocol
//
// The client begins with the octets "lockstep/1\n". Then both sides send frames: one octet of kind, two of length (big
// endian), and so many of body, at most 16,384.
//
//	client  E  exec: the body is the command. Once, and nothing after it.
//	        S  shell: an empty body from a pipe; from a terminal, in raw mode, its columns and rows, two octets each.
//	        I  octets typed into the shell; an empty body is the end of input
//	        W  the window changed: columns and rows
//	server  O  output
//	        R  errors and refusals, for standard error
//	        X  the end: one octet of exit status. Nothing follows.
//
// The line editor is the server's, so that the same session can be served to an SSH channel. A client that hangs up
// cancels its command. Output that a client does not take for some time ends its session, never more than that: sessions
// are goroutines of their own, and the log hands them lines without waiting. Octets typed ahead wait in the session up
// to 64 KiB, then in the connection.
package mgmt
