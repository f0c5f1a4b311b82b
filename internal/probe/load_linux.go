package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// loadCollection creates the maps of a collection, and then loads its programs in parallel: the kernel verifies each of
// them in the thread that loads it. Replacements are maps that exist already. The collection cannot be used again.
func loadCollection(spec *ebpf.CollectionSpec, replacements map[string]*ebpf.Map) (*ebpf.Collection, error) {
	programs := spec.Programs
	spec.Programs = nil
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replacements})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var failed error
	var done sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		done.Go(func() {
			program, err := loadProgram(programs[name], loaded.Maps)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("program %s: %w", name, err))
				return
			}
			loaded.Programs[name] = program
		})
	}
	done.Wait()
	if failed != nil {
		loaded.Close()
		return nil, failed
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
