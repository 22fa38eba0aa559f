package mgmt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestFramesSurviveTheWay(t *testing.T) {
	var b []byte
	want := []frame{{kindExec, []byte("show version")}, {kindInput, []byte{}}, {kindOut, bytes.Repeat([]byte("x"), maxBody)}}
	for _, f := range want {
		b = appendFrame(b, f.kind, f.body)
	}
	r := bytes.NewReader(b)
	for _, f := range want {
		got, err := readFrame(r)
		if err != nil || !cmp.Equal(f, got, cmp.AllowUnexported(frame{})) {
			t.Fatalf("%v, %v", got.kind, err)
		}
	}
	if _, err := readFrame(r); err != io.EOF {
		t.Errorf("behind the last one: %v", err)
	}
	if _, err := readFrame(bytes.NewReader(b[:5])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("within one: %v", err)
	}
}

func TestWindowsWithoutASizeAreAVT100(t *testing.T) {
	for in, want := range map[window]window{{}: {80, 24}, {132, 50}: {132, 50}, {70000, 1}: {65535, 1}} {
		if got, err := parseWindow(in.append(nil)); err != nil || got != want {
			t.Errorf("%v: %v, %v", in, got, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, kindExec, []byte("show version")))
	f.Add(appendFrame(appendFrame(nil, kindShell, window{80, 24}.append(nil)), kindInput, []byte("?")))
	f.Add([]byte{'E', 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			at := len(b) - r.Len()
			got, err := readFrame(r)
			if err != nil {
				return
			}
			if again := appendFrame(nil, got.kind, got.body); !bytes.Equal(again, b[at:at+len(again)]) {
				t.Fatalf("%q becomes %q", b[at:], again)
			}
			if req, err := parseRequest(got); err == nil && (len(req.command) > maxCommand || req.window != nil && (req.window.cols < 1 || req.window.rows < 1)) {
				t.Fatalf("%q is taken for %+v", b, req)
			}
		}
	})
}

// press gives the octets of some keys to the translator; | stands for Enter, ! for a line given up.
func press(octets string) string {
	var k keys
	var b strings.Builder
	for i := range len(octets) {
		switch k.take(octets[i]) {
		case typed:
			b.Write(k.text)
		case entered:
			b.WriteString("|")
		case abandoned:
			b.WriteString("!")
		}
	}
	return b.String()
}

func TestKeysOfManyTerminals(t *testing.T) {
	for octets, want := range map[string]string{
		"show\r\n\n\rx":                        "show|||x",
		"\x1b[A\x1bOA\x1b[B":                   up + up + down,
		"\x1b[H\x1b[1~\x1bOF\x1b[8~":           lineStart + lineStart + lineEnd + lineEnd,
		"\x1b[1;5Cx\x1bb":                      wordRight + "x" + wordLeft,
		"\x1b\r":                               "|", // Esc is a key by itself
		"\x1b\x1b[C":                           right,
		"\x1b[20~a\x1b[[Ab\x1b[1;2Sc":          "abc", // function keys
		"\x1b[200~show\x1b[201~":               "show",
		"\x1b[12345678901234567890x":           "567890x",
		"\x1b[1\rx":                            "|x",
		"\x1b\x7f\x18":                         deleteWord + deleteToStart,
		"ab\x03c\x1ad":                         "ab!c!d",
		"Gr\u00fc\u00dfe \U0001F512":           "Gr\u00fc\u00dfe \U0001F512",
		"a\xffb\xe2\x82c\xc2\x9bd\ufffde":      "abcde",
		"\x00\x07\x0f\x11\x13\x1c\x1d\x1e\x1f": "",
		"\t?\x16?\x04\x7f":                     "\t?\x16?\x04\x7f",
	} {
		if got := press(octets); got != want {
			t.Errorf("%q becomes %q, want %q", octets, got, want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("show version\r")
	f.Add("\x1b[1;5C\x1b[A\xe2\x82\xac\x03")
	f.Fuzz(func(t *testing.T, octets string) {
		got := press(octets)
		if !utf8.ValidString(got) || strings.ContainsRune(got, utf8.RuneError) {
			t.Fatalf("%q becomes %q", octets, got)
		}
		for _, s := range sequences {
			got = strings.ReplaceAll(got, s, "")
		}
		if strings.ContainsRune(got, keyEscape) {
			t.Fatalf("%q lets %q through", octets, got)
		}
		// Nothing is waited for behind a control key: Enter always works.
		if !strings.HasSuffix(press(octets+"\r"), "|") {
			t.Fatalf("Enter is lost behind %q", octets)
		}
	})
}

func TestInputTypedAheadWaitsAndIsNotLost(t *testing.T) {
	in := newInput(0)
	ctx := t.Context()
	var want []byte
	go func() {
		for i := range 100 {
			in.put(ctx, bytes.Repeat([]byte{byte(i)}, maxBody))
		}
		in.end()
	}()
	for i := range 100 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, maxBody)...)
	}
	var got []byte
	for {
		b, err := in.next(ctx)
		if err == io.EOF {
			break
		}
		got = append(got, b)
		in.mu.Lock()
		n := len(in.ahead)
		in.mu.Unlock()
		if n > maxAhead {
			t.Fatalf("%d octets wait", n)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d octets came, %d were typed", len(got), len(want))
	}
}
