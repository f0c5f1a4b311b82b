package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// loadCollection creates the maps of a collection, and then loads its programs. It does both in parallel: the kernel
// fills a map with free entries, and verifies a program, in the thread that asks for it. Replacements are maps that
// exist already. The specification cannot be used again. The error is that of the first program that failed, in the
// order of their names.
func loadCollection(spec *ebpf.CollectionSpec, replacements map[string]*ebpf.Map) (*ebpf.Collection, error) {
	programs := spec.Programs
	spec.Programs = nil
	created, err := createLarge(spec.Maps, replacements)
	defer func() {
		for _, m := range created {
			m.Close() // the collection has it too
		}
	}()
	if err != nil {
		return nil, err
	}
	existing := maps.Clone(created)
	maps.Copy(existing, replacements)
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: existing})
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(programs))
	results, errs := make([]*ebpf.Program, len(names)), make([]error, len(names))
	var done sync.WaitGroup
	for i, name := range names {
		done.Go(func() { results[i], errs[i] = loadProgram(programs[name], loaded.Maps) })
	}
	done.Wait()
	for i, name := range names {
		if errs[i] == nil {
			loaded.Programs[name] = results[i]
		} else if err == nil {
			err = fmt.Errorf("program %s: %w", name, errs[i])
		}
	}
	if err != nil {
		loaded.Close()
		return nil, err
	}
	return loaded, nil
}

// createLarge creates the large maps, except replacements. With an error it returns those that it has created.
func createLarge(specs map[string]*ebpf.MapSpec, replacements map[string]*ebpf.Map) (map[string]*ebpf.Map, error) {
	const large = 1024 // entries
	created := make(map[string]*ebpf.Map)
	var mu sync.Mutex
	var failure error
	var done sync.WaitGroup
	for name, spec := range specs {
		if replacements[name] != nil || spec.MaxEntries < large {
			continue
		}
		done.Go(func() {
			m, err := ebpf.NewMap(spec)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = errors.Join(failure, fmt.Errorf("map %s: %w", name, err))
				return
			}
			created[name] = m
		})
	}
	done.Wait()
	return created, failure
}

// loadProgram loads a program, which uses the maps that its instructions name.
func loadProgram(spec *ebpf.ProgramSpec, loaded map[string]*ebpf.Map) (*ebpf.Program, error) {
	for i := range spec.Instructions {
		instruction := &spec.Instructions[i]
		if !instruction.IsLoadFromMap() || instruction.Reference() == "" {
			continue
		}
		m := loaded[instruction.Reference()]
		if m == nil {
			return nil, fmt.Errorf("the collection has no map %s", instruction.Reference())
		}
		if err := instruction.AssociateMap(m); err != nil {
			return nil, fmt.Errorf("map %s: %w", instruction.Reference(), err)
		}
	}
	return ebpf.NewProgram(spec)
}
