// Package lint holds checks of the project's source that the compiler does not
// make. It has tests only.
package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"manvision/internal/testdata"
)

// Every exported identifier of every package has a doc comment, and every package
// one of its own.
func TestDocComments(t *testing.T) {
	root := testdata.Root()
	documented := map[string]bool{} // folder: has a package comment
	promised := map[string]bool{"String": true, "Error": true}
	missing := map[string]*ast.FuncDecl{} // place: method
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" && path != filepath.Join(root, "internal", "testdata") || d.Name() == "runs") && path != root {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || f.Doc != nil
		place := func(n ast.Node) string {
			at := set.Position(n.Pos())
			name, _ := filepath.Rel(root, at.Filename)
			return fmt.Sprintf("%s:%d", name, at.Line)
		}
		names, methods := undocumented(f)
		for _, bad := range names {
			t.Errorf("%s: %s has no doc comment", place(bad), bad.Name)
		}
		for _, m := range methods {
			missing[place(m)] = m
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				end, told := 0, false // a comment counts for the methods that follow without a gap
				for _, m := range i.Methods.List {
					told = m.Doc != nil || m.Comment != nil || told && set.Position(m.Pos()).Line == end+1
					end = set.Position(m.End()).Line
					for _, name := range m.Names {
						promised[name.Name] = promised[name.Name] || told
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, m := range missing {
		if !promised[m.Name.Name] {
			t.Errorf("%s: method %s has no doc comment", place, m.Name.Name)
		}
	}
	for dir, ok := range documented {
		if !ok {
			name, _ := filepath.Rel(root, dir)
			t.Errorf("%s: no package comment", name)
		}
	}
}

// undocumented lists the exported identifiers without a comment, and apart from
// them the methods of exported types: those that an interface of the project
// documents need no comment of their own. A group's comment counts for its members.
func undocumented(f *ast.File) (out []*ast.Ident, methods []*ast.FuncDecl) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			switch {
			case !d.Name.IsExported() || d.Doc != nil:
			case d.Recv == nil:
				out = append(out, d.Name)
			case receiver(d.Recv).IsExported():
				methods = append(methods, d)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
						out = append(out, s.Name)
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
							out = append(out, n)
						}
					}
				}
			}
		}
	}
	return out, methods
}

func receiver(l *ast.FieldList) *ast.Ident {
	e := l.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("unknown")
		}
	}
}

// No source file holds notes to its author, or the path of somebody's machine.
func TestNoLeftovers(t *testing.T) {
	root := testdata.Root()
	bad := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|"/(work|home|tmp)/`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "runs") {
			return fs.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".c", ".h", ".cpp", ".yaml", ".py":
		default:
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(b), "\n") {
			if found := bad.FindString(line); found != "" {
				name, _ := filepath.Rel(root, path)
				t.Errorf("%s:%d: %s", name, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
