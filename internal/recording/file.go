package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// fileMode lets other users read the file: a test that runs as root writes for the user who started it.
const fileMode = 0o644

// Write writes the recording to a file as JSON, with LF as line ends. The file replaces an older one in one step, so
// that a reader sees either of them whole. The directory has to exist. A recording that [Read] would refuse is an
// error.
func (r File) Write(path string) error {
	r.Version = Version
	if err := write(path, r); err != nil {
		return fmt.Errorf("write recording %s: %w", path, err)
	}
	return nil
}

// Read reads a file that [File.Write] wrote. The error names the file and what is wrong with it.
func Read(path string) (File, error) {
	r, err := read[File](path)
	if err != nil {
		return File{}, fmt.Errorf("read recording %s: %w", path, err)
	}
	return r, nil
}

// Write writes the row to a file, as [File.Write] does.
func (r Row) Write(path string) error {
	r.Version, r.Recording.Version = Version, Version
	if err := write(path, r); err != nil {
		return fmt.Errorf("write row %s: %w", path, err)
	}
	return nil
}

// ReadRow reads a file that [Row.Write] wrote, as [Read] does.
func ReadRow(path string) (Row, error) {
	r, err := read[Row](path)
	if err != nil {
		return Row{}, fmt.Errorf("read row %s: %w", path, err)
	}
	return r, nil
}

// checked is what a file may hold.
type checked interface{ check() error }

// check says what in a recording cannot be converted to flows.
func (r File) check() error {
	if r.Version != Version {
		return fmt.Errorf("unknown version %d, want %d", r.Version, Version)
	}
	if _, err := ToFlows(r.Flows); err != nil {
		return fmt.Errorf("flows: %w", err)
	}
	if _, err := ToFlows(r.Recorded); err != nil {
		return fmt.Errorf("recorded: %w", err)
	}
	return nil
}

// check says what in a row's recording cannot be converted to flows.
func (r Row) check() error {
	for i, d := range r.Dials {
		if _, err := toProtocol(d.Protocol); err != nil {
			return fmt.Errorf("dial %d: %w", i, err)
		}
	}
	if err := r.Recording.check(); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

func read[T checked](path string) (value T, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return value, err
	}
	var of struct {
		Version int `json:"version"`
	}
	// Another version may have other fields: the version is what is wrong then, not the field.
	if err := json.Unmarshal(text, &of); err != nil {
		return value, err
	}
	if of.Version != Version {
		return value, fmt.Errorf("unknown version %d, want %d", of.Version, Version)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, err
	}
	return value, value.check()
}

func write(path string, value checked) (err error) {
	if err := value.check(); err != nil {
		return err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".recording-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = io.Copy(file, &text)
	if err == nil {
		err = file.Chmod(fileMode)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
