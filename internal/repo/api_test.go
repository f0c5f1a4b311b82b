package repo_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var writeAPI = flag.Bool("write-api", false, "write "+apiFile+" instead of comparing with it")

const apiFile = "internal/repo/api.txt"

// public lists the packages that others import. What their exported names lead to in internal packages is public too.
var public = []string{"golden", "netzerotest", "netzerotest/flow"}

// TestAPI compares api.txt with the exported names: a new one needs a reason in docs/decisions.md, one that is gone or
// changed breaks somebody. To accept: go test ./internal/repo -run TestAPI -write-api
func TestAPI(t *testing.T) {
	got := strings.Join(exported(t), "\n") + "\n"
	if *writeAPI {
		if err := os.WriteFile(apiFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf(
			"the exported names changed (-api.txt +code); to accept: go test ./internal/repo -run TestAPI -write-api\n%s",
			diff,
		)
	}
}

// exported returns a line for every exported name with its type, sorted by package and name.
func exported(t *testing.T) []string {
	a := api{packages: make(map[string][]*ast.File), lines: make(map[string]bool), done: make(map[string]bool)}
	for _, s := range goFiles(t) {
		if !s.isTest() {
			a.packages[s.pkg] = append(a.packages[s.pkg], s.file)
		}
	}
	for _, pkg := range public {
		for _, file := range a.packages[pkg] {
			a.file(pkg, file, "")
		}
	}
	return slices.Sorted(func(yield func(string) bool) {
		for line := range a.lines {
			if !yield(line) {
				return
			}
		}
	})
}

// api collects lines.
type api struct {
	packages map[string][]*ast.File
	lines    map[string]bool
	done     map[string]bool // the types of internal packages that have their lines
}

// file adds what a file exports, or of it only what belongs to one type.
func (a *api) file(pkg string, file *ast.File, only string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			receiver := receiverOf(d)
			if d.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) && (only == "" || receiver == only) {
				signature := *d
				signature.Doc, signature.Body = nil, nil
				a.add(pkg, &signature)
				a.follow(pkg, file, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				a.spec(pkg, file, d.Tok, spec, only)
			}
		}
	}
}

func (a *api) spec(pkg string, file *ast.File, kind token.Token, spec ast.Spec, only string) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		if only != "" {
			return
		}
		for i, name := range spec.Names {
			if !name.IsExported() {
				continue
			}
			one := &ast.ValueSpec{Names: []*ast.Ident{name}, Type: spec.Type}
			if i < len(spec.Values) && kind == token.CONST {
				one.Values = spec.Values[i : i+1]
			}
			a.add(pkg, &ast.GenDecl{Tok: kind, Specs: []ast.Spec{one}})
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() || only != "" && spec.Name.Name != only {
			return
		}
		fields, isStruct := spec.Type.(*ast.StructType)
		if !isStruct {
			a.follow(pkg, file, spec.Type)
			a.add(pkg, &ast.GenDecl{
				Tok:   kind,
				Specs: []ast.Spec{&ast.TypeSpec{Name: spec.Name, Assign: spec.Assign, Type: spec.Type}},
			})
			return
		}
		a.line(pkg, "type "+spec.Name.Name+" struct")
		for _, field := range fields.Fields.List {
			if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
				a.follow(pkg, file, field.Type)
			}
			for _, name := range field.Names {
				if name.IsExported() {
					a.line(pkg, "field "+spec.Name.Name+"."+name.Name+" "+text(field.Type))
				}
			}
			if len(field.Names) == 0 {
				a.line(pkg, "field "+spec.Name.Name+" embeds "+text(field.Type))
			}
		}
	}
}

// follow adds the types of internal packages that an expression names, since users of a public name see them.
func (a *api) follow(pkg string, file *ast.File, expression ast.Node) {
	ast.Inspect(expression, func(n ast.Node) bool {
		name, in := "", pkg
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if p, ok := n.X.(*ast.Ident); ok {
				name, in = n.Sel.Name, importedAs(file, p.Name)
			}
		case *ast.Ident:
			name = n.Name
		}
		if !ast.IsExported(name) || !strings.HasPrefix(in, "internal/") || a.done[in+"."+name] {
			return true
		}
		a.done[in+"."+name] = true
		for _, file := range a.packages[in] {
			a.file(in, file, name)
		}
		return false
	})
}

// importedAs returns the path of a package of this module by its name in a file, or "".
func importedAs(file *ast.File, name string) string {
	for _, imported := range (source{file: file}).imports() {
		if _, own := layers[imported]; own && strings.HasSuffix("/"+imported, "/"+name) {
			return imported
		}
	}
	return ""
}

func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	return strings.TrimLeft(text(d.Recv.List[0].Type), "*")
}

func (a *api) add(pkg string, node ast.Node) { a.line(pkg, text(node)) }

func (a *api) line(pkg, line string) { a.lines[pkg+": "+line] = true }

// text prints a node on one line, without its comments.
func text(node ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
