package netzerotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// mayHaveSkipped returns where a test may have skipped a subtest, or "". Package testing tells nobody but the subtest: so
// what counts is whether there were subtests, and whether the source of the test, or of a function of the package that it
// calls, lets one skip. What such a test did not need today is not dropped.
func mayHaveSkipped(tb host) string {
	if p, ok := tb.(*packageRun); ok {
		return skipOf(p.withSubtests())
	}
	if !hadSubtests(tb) {
		return ""
	}
	top, _, _ := strings.Cut(tb.Name(), "/")
	return skipOf([]string{top})
}

// skipOf returns where one of these tests, all of which have run subtests, may have skipped one, or "".
func skipOf(tests []string) string {
	if len(tests) == 0 {
		return ""
	}
	files := token.NewFileSet()
	bodies := make(map[string]*ast.BlockStmt)
	for f := range testFunctions(files) {
		if f.Recv == nil {
			bodies[f.Name.Name] = f.Body
		}
	}
	for _, top := range tests {
		if bodies[top] == nil {
			continue
		}
		if at := skipInSubtests(bodies[top], bodies, []string{top}); at.IsValid() {
			place := files.Position(at)
			place.Filename = packageDir.Relative(place.Filename)
			place.Column = 0
			return place.String()
		}
	}
	return ""
}

// testFunctions yields the functions and methods of the package's test files that have a body.
func testFunctions(files *token.FileSet) iter.Seq[*ast.FuncDecl] {
	return func(yield func(*ast.FuncDecl) bool) {
		names, err := filepath.Glob(filepath.Join(string(packageDir), "*_test.go"))
		if err != nil {
			return
		}
		for _, name := range names {
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				continue // of another build
			}
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil && !yield(f) {
					return
				}
			}
		}
	}
}

// methodsSkip reports whether a method of the package's test files skips: those of a suite are subtests, and which of them
// a test runs its source does not say.
func methodsSkip() bool {
	for f := range testFunctions(token.NewFileSet()) {
		if f.Recv != nil && skipIn(f.Body, nil, nil).IsValid() {
			return true
		}
	}
	return false
}

// skipInSubtests returns the place of the first call that skips in what a node, or a function that it calls, passes to Run.
// Where the test itself skips, it knows.
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

// skipIn returns the place of the first call that skips below a node or, once each, in functions that it calls.
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

// hadSubtests reports whether a test has run subtests; it is false where package testing does not let us see that.
func hadSubtests(tb host) bool {
	v := reflect.ValueOf(tb)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return false
	}
	flag := v.Elem().FieldByName("hasSub")
	if flag.IsValid() && flag.Kind() == reflect.Struct { // an atomic.Bool
		flag = flag.FieldByName("v")
	}
	return flag.IsValid() && flag.CanUint() && flag.Uint() != 0
}
