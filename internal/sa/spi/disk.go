package spi

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// disk is where the record lives. The zero value forgets everything (tests, `store none`).
type disk struct {
	path string
	// crash is called between the steps of a write with the step's name. Tests set it to copy the directory as a power
	// failure would leave it.
	crash func(step string)
}

// CorruptError says that the identity file could not be used and what became of it. The gateway runs with a fresh
// identity; SPIs issued before are not recognised.
type CorruptError struct {
	Path string // the identity file
	Kept string // where its content is kept for inspection, empty if it could not be
	Why  error
}

func (e *CorruptError) Error() string {
	kept := "it could not be set aside"
	if e.Kept != "" {
		kept = "kept as " + e.Kept
	}
	return fmt.Sprintf("identity file %s is unusable (%s): %v; a fresh identity was made, SPIs issued before are not recognised",
		e.Path, kept, e.Why)
}

func (e *CorruptError) Unwrap() error { return e.Why }

// maxIdentityFile is far more than a full record; more is not read.
const maxIdentityFile = 64 << 10

// load returns the record, nil if there is none. A *CorruptError comes after the file was set aside.
func (d *disk) load() (*record, error) {
	if d.path == "" {
		return nil, nil
	}
	r, err := d.read()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &CorruptError{Path: d.path, Kept: d.setAside(), Why: err}
	}
	return r, nil
}

func (d *disk) read() (*record, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxIdentityFile))
	if err != nil {
		return nil, err
	}
	return unmarshal(content)
}

// keptFiles bounds how many unusable files are kept; the last is overwritten.
const keptFiles = 9

// setAside renames the file to the first free identity.bad-N and returns that name, empty on failure.
func (d *disk) setAside() string {
	for n := 1; n <= keptFiles; n++ {
		kept := fmt.Sprintf("%s.bad-%d", d.path, n)
		if _, err := os.Lstat(kept); err == nil && n < keptFiles {
			continue
		}
		if os.Rename(d.path, kept) == nil {
			return kept
		}
		return ""
	}
	return ""
}

// save puts the record on disk and returns only when it would survive a power failure: temporary file, fsync, rename,
// fsync of the directory.
func (d *disk) save(r *record) error {
	if d.path == "" {
		return nil
	}
	err := d.replace(r.marshal())
	if err != nil {
		return fmt.Errorf("write identity file %s: %w", d.path, err)
	}
	return nil
}

func (d *disk) replace(content []byte) error {
	dir := filepath.Dir(d.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d.step("begin")
	temp := d.path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := d.writeTemp(temp, content); err != nil {
		return err
	}
	d.step("written")
	if err := os.Rename(temp, d.path); err != nil {
		return err
	}
	d.step("renamed")
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return err
	}
	d.step("done")
	return nil
}

func (d *disk) writeTemp(temp string, content []byte) (err error) {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	half := len(content) / 2
	if _, err := f.Write(content[:half]); err != nil {
		return err
	}
	d.step("half written")
	if _, err := f.Write(content[half:]); err != nil {
		return err
	}
	return f.Sync()
}

func (d *disk) step(name string) {
	if d.crash != nil {
		d.crash(name)
	}
}
