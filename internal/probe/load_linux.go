package probe

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// loadCollection creates the maps of a collection, and then loads its programs in parallel: the kernel verifies each of
// them in the thread that loads it. Replacements are maps that exist already. The specification cannot be used again.
// The error is that of the first program that failed, in the order of their names.
func loadCollection(spec *ebpf.CollectionSpec, replacements map[string]*ebpf.Map) (*ebpf.Collection, error) {
	programs := spec.Programs
	spec.Programs = nil
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replacements})
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
