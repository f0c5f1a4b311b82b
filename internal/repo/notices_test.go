package repo_test

import (
	"flag"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var writeNotices = flag.Bool("write-notices", false, "write the table of "+noticesDocument+" instead of comparing "+
	"with it")

const (
	noticesDocument = "docs/notices.md"
	noticesFile     = "internal/recording/notice.go"
)

// noticeCode is a constant for the code of a notice.
type noticeCode struct{ name, value, meaning string }

// noticeCodes returns the constants, in order.
func noticeCodes(t *testing.T) []noticeCode {
	t.Helper()
	var codes []noticeCode
	for _, s := range goFiles(t) {
		if s.name != noticesFile {
			continue
		}
		for _, decl := range s.file.Decls {
			d, isGeneral := decl.(*ast.GenDecl)
			if !isGeneral || d.Tok != token.CONST {
				continue
			}
			for _, spec := range d.Specs {
				constant := spec.(*ast.ValueSpec)
				value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				name := constant.Names[0].Name
				doc := strings.Join(strings.Fields(constant.Doc.Text()), " ")
				meaning, found := strings.CutPrefix(doc, name+": ")
				if !found {
					t.Errorf("the comment of %s is %q, want %q", name, doc, name+": what the notice is about.")
				}
				codes = append(codes, noticeCode{name, value, meaning})
			}
		}
	}
	if len(codes) == 0 {
		t.Fatalf("%s has no constants", noticesFile)
	}
	return codes
}

// Programs read the codes of recordings, so the document has each of them.
// To accept: go test ./internal/repo -run TestNotices -write-notices
func TestNotices_Documented(t *testing.T) {
	var rows strings.Builder
	for _, c := range noticeCodes(t) {
		rows.WriteString("| `" + c.value + "` | " + strings.ToUpper(c.meaning[:1]) + c.meaning[1:] + " |\n")
	}
	const ruler = "|---|---|\n"
	before, got, found := strings.Cut(read(t, noticesDocument), ruler)
	if !found {
		t.Fatalf("%s has no table", noticesDocument)
	}
	if *writeNotices {
		if err := os.WriteFile(noticesDocument, []byte(before+ruler+rows.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(rows.String(), got); diff != "" {
		t.Errorf("to accept: go test ./internal/repo -run TestNotices -write-notices (-code "+
			"+%s)\n%s", noticesDocument, diff)
	}
}

func TestNotices_Used(t *testing.T) {
	used := make(map[string]bool)
	for _, s := range goFiles(t) {
		if s.isTest() || s.pkg == "internal/recording" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok && text(selector.X) == "recording" {
				used[selector.Sel.Name] = true
			}
			return true
		})
	}
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	values := make(map[string]string)
	for _, c := range noticeCodes(t) {
		if !used[c.name] {
			t.Errorf("no stage creates notices with %s", c.name)
		}
		if !kebab.MatchString(c.value) {
			t.Errorf("%s is %q, want words with hyphens between them", c.name, c.value)
		}
		if other := values[c.value]; other != "" {
			t.Errorf("%s and %s are both %q", other, c.name, c.value)
		}
		values[c.value] = c.name
	}
}
