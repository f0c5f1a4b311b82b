package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A process is a program that the cluster runs in one of its namespaces.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // path of its output
	done chan error
}

// start starts a program in the namespace. The program ends with this process at the latest.
func (ns *namespace) start(dir, path string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(path), done: make(chan error, 1)}
	p.log = filepath.Join(dir, p.name+".log")
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the signal when the thread that started the process ends, so that thread has to stay.
		err := ns.do(func() error {
			err := p.cmd.Start()
			started <- err
			if err != nil {
				return err
			}
			return p.cmd.Wait()
		})
		p.done <- err
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// stop ends the process, and kills it if it does not end in time.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// ended reports whether the process has ended, as an error with the end of its log.
func (p *process) ended() error {
	select {
	case err := <-p.done:
		p.done <- err
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended (%v):\n%s", p.name, err, text[max(0, len(text)-4096):])
	default:
		return nil
	}
}
