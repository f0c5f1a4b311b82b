package netzerotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"sync"
)

// testsInSource returns the names of the package's functions in its test files, those of other builds too. It is empty
// where there are none, as beside a test binary that runs elsewhere.
var testsInSource = sync.OnceValue(func() map[string]bool {
	found := make(map[string]bool)
	names, err := filepath.Glob(filepath.Join(string(packageDir), "*_test.go"))
	if err != nil {
		return found
	}
	files := token.NewFileSet()
	for _, name := range names {
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = true
			}
		}
	}
	return found
})
