package lab

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"time"
)

// record opens a pcap file (the classic format, microseconds, Ethernet).
func (w *Watch) record(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w.out, w.pcap = f, bufio.NewWriterSize(f, 1<<16)
	var h [24]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], 0xa1b2c3d4)
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], 1<<18) // snap length
	le.PutUint32(h[20:], 1)     // LINKTYPE_ETHERNET
	_, err = w.pcap.Write(h[:])
	return err
}

func writeRecord(w io.Writer, at time.Time, frame []byte) {
	var h [16]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], uint32(at.Unix()))
	le.PutUint32(h[4:], uint32(at.Nanosecond()/1000))
	le.PutUint32(h[8:], uint32(len(frame)))
	le.PutUint32(h[12:], uint32(len(frame)))
	_, _ = w.Write(h[:]) // a full disk shows as a short file
	_, _ = w.Write(frame)
}

// Flush writes what was recorded so far to the pcap file.
func (w *Watch) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pcap != nil {
		w.pcap.Flush()
	}
}
