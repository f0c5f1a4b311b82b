package gotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// Source is the directory of the package under test, with its test files. There are none if a test binary runs
// elsewhere.
type Source string

// declarations yields the functions and methods of the test files, those of other builds included.
func (s Source) declarations(files *token.FileSet) iter.Seq[*ast.FuncDecl] {
	return func(yield func(*ast.FuncDecl) bool) {
		names, err := filepath.Glob(filepath.Join(string(s), "*_test.go"))
		if err != nil {
			return
		}
		for _, name := range names {
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				continue
			}
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && !yield(f) {
					return
				}
			}
		}
	}
}

// Functions returns the names of the functions in the test files, those of other builds included.
func (s Source) Functions() map[string]bool {
	found := make(map[string]bool)
	for f := range s.declarations(token.NewFileSet()) {
		if f.Recv == nil {
			found[f.Name.Name] = true
		}
	}
	return found
}

// Places returns the places of the tests, benchmarks and fuzz tests in the test files, and of TestMain, by function.
// The names of files are relative to the directory. If builds declare a function in several files, it returns the first
// of them.
func (s Source) Places() map[string]token.Position {
	files := token.NewFileSet()
	places := make(map[string]token.Position)
	for f := range s.declarations(files) {
		name := f.Name.Name
		isTest := slices.ContainsFunc([]string{"Test", "Benchmark", "Fuzz"}, func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
		if _, again := places[name]; again || f.Recv != nil || !isTest {
			continue
		}
		place := files.Position(f.Pos())
		place.Filename = filepath.Base(place.Filename)
		places[name] = place
	}
	return places
}

// SkipInSubtests returns the place, such as "shop_test.go:31", at which a subtest of one of the tests may have skipped
// itself. It returns "" if there is none. The tests are those that have run subtests.
//
// Package testing records a skip only in the subtest itself. So this function examines the source of the test, and of
// the functions of the package that it calls.
func (s Source) SkipInSubtests(tests []string) string {
	if len(tests) == 0 {
		return ""
	}
	files := token.NewFileSet()
	bodies := make(map[string]*ast.BlockStmt)
	for f := range s.declarations(files) {
		if f.Recv == nil && f.Body != nil {
			bodies[f.Name.Name] = f.Body
		}
	}
	for _, top := range tests {
		if bodies[top] == nil {
			continue
		}
		if at := skipInSubtests(bodies[top], bodies, []string{top}); at.IsValid() {
			place := files.Position(at)
			place.Filename = filepath.Base(place.Filename)
			place.Column = 0
			return place.String()
		}
	}
	return ""
}

// methodsSkip reports whether a method of the test files skips. The methods of a suite are subtests, and the source of
// a test does not show which of them it runs.
func (s Source) methodsSkip() bool {
	for f := range s.declarations(token.NewFileSet()) {
		if f.Recv != nil && f.Body != nil && skipIn(f.Body, nil, nil).IsValid() {
			return true
		}
	}
	return false
}

// skipInSubtests returns the place of the first skip in a function that a node, or a function that it calls, passes to
// Run. A skip of the test itself does not count, because package testing reports it.
func skipInSubtests(n ast.Node, bodies map[string]*ast.BlockStmt, visited []string) (found token.Pos) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found.IsValid() {
			return !found.IsValid()
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			for _, arg := range call.Args {
				named, isName := arg.(*ast.Ident)
				switch {
				case f.Sel.Name != "Run" || found.IsValid():
				case isName && bodies[named.Name] != nil:
					found = skipIn(bodies[named.Name], bodies, []string{named.Name})
				default:
					found = skipIn(arg, bodies, nil)
				}
			}
		case *ast.Ident:
			if body := bodies[f.Name]; body != nil && !slices.Contains(visited, f.Name) {
				visited = append(visited, f.Name)
				found = skipInSubtests(body, bodies, visited)
			}
		}
		return !found.IsValid()
	})
	return found
}

// skipIn returns the place of the first skip below a node or in the functions that it calls. It visits each function
// once.
func skipIn(n ast.Node, bodies map[string]*ast.BlockStmt, visited []string) (found token.Pos) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found.IsValid() {
			return !found.IsValid()
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, f.Sel.Name) {
				found = call.Pos()
			}
		case *ast.Ident:
			if body := bodies[f.Name]; body != nil && !slices.Contains(visited, f.Name) {
				visited = append(visited, f.Name)
				if skipIn(body, bodies, visited).IsValid() {
					found = call.Pos()
				}
			}
		}
		return !found.IsValid()
	})
	return found
}
