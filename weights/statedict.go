package weights

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// stateKeys are the keys under which training programs store the weights of a
// model, likelier ones first. Averaged copies come last: who wants them names them.
var stateKeys = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params", "backbone", "model_ema", "state_dict_ema", "ema_state_dict", "ema"}

// stateDict is a dict of tensors within a PyTorch file.
type stateDict struct {
	path    []string
	names   []string
	values  []any // a *pthTensor, or what stands there instead
	tensors int
}

func (s *stateDict) key() string { return strings.Join(s.path, ".") }

// maxDepth bounds the dicts within dicts and the modules within modules that are
// looked through.
const maxDepth = 32

// findStateDicts returns every dict that holds tensors under names, and every
// whole model (torch.save(model)), each once. Optimizer states are passed over.
func findStateDicts(root any) []*stateDict {
	var out []*stateDict
	seen := map[any]bool{}
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if len(path) > maxDepth || seen[v] {
			return
		}
		switch v := v.(type) {
		case *pyDict:
			seen[v] = true
			s := &stateDict{path: path}
			for i, k := range v.keys {
				name, ok := text(k)
				if !ok {
					continue
				}
				s.add(name, v.values[i])
			}
			if s.tensors > 0 {
				out = append(out, s)
			}
			for i, k := range v.keys {
				name, ok := text(k)
				lower := strings.ToLower(name)
				if !ok || strings.Contains(lower, "optim") || strings.Contains(lower, "sched") || strings.Contains(lower, "scaler") {
					continue
				}
				switch v.values[i].(type) {
				case *pyDict, *pyObject:
					walk(v.values[i], append(slices.Clone(path), name))
				}
			}
		case *pyObject:
			seen[v] = true
			s := &stateDict{path: path}
			s.addModule(v, "", 0, map[any]bool{})
			if s.tensors > 0 {
				out = append(out, s)
			}
		case *pthTensor:
			s := &stateDict{path: path}
			s.add("tensor", v)
			out = append(out, s)
		}
	}
	switch root.(type) {
	case *pyDict, *pyObject, *pthTensor:
		walk(root, nil)
	}
	return out
}

func (s *stateDict) add(name string, v any) {
	s.names, s.values = append(s.names, name), append(s.values, v)
	if _, ok := v.(*pthTensor); ok {
		s.tensors++
	}
}

// addModule adds the tensors of a torch.nn.Module that was saved whole, from the
// attributes that every module has.
func (s *stateDict) addModule(o *pyObject, prefix string, depth int, seen map[any]bool) {
	d, ok := o.state.(*pyDict)
	if !ok || depth > maxDepth || seen[o] {
		return
	}
	seen[o] = true
	parts := map[string]*pyDict{}
	passing := map[any]bool{}
	for i, k := range d.keys {
		name, _ := text(k)
		switch v := d.values[i].(type) {
		case *pyDict:
			parts[name] = v
		case *pyList:
			if name == "_non_persistent_buffers_set" {
				for _, b := range v.items {
					if t, ok := text(b); ok {
						passing[t] = true
					}
				}
			}
		}
	}
	for _, group := range []string{"_parameters", "_buffers"} {
		p := parts[group]
		if p == nil {
			return // not a module
		}
		for i, k := range p.keys {
			name, ok := text(k)
			if _, none := p.values[i].(pyNone); ok && !none && !(group == "_buffers" && passing[name]) {
				s.add(prefix+name, p.values[i])
			}
		}
	}
	if m := parts["_modules"]; m != nil {
		for i, k := range m.keys {
			if child, ok := m.values[i].(*pyObject); ok {
				if name, ok := text(k); ok {
					s.addModule(child, prefix+name+".", depth+1, seen)
				}
			}
		}
	}
}

// choose picks the state_dict of that key, or, where key is "", the best: the file
// itself where it holds at least as many tensors as any dict within (more than
// those under stateKeys); else the first of stateKeys that leads to tensors; else
// the one with most tensors.
func choose(all []*stateDict, key string) (*stateDict, []string, error) {
	if len(all) == 0 {
		return nil, nil, errors.New("it holds no tensors under names")
	}
	rank := func(s *stateDict) int {
		if len(s.path) == 0 {
			return len(stateKeys)
		}
		if i := slices.Index(stateKeys, strings.ToLower(s.path[0])); i >= 0 {
			return i
		}
		return len(stateKeys)
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b *stateDict) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.tensors, a.tensors))
	})
	best := sorted[0]
	for _, s := range all {
		if len(s.path) == 0 && !slices.ContainsFunc(all, func(x *stateDict) bool { return x.tensors > s.tensors || x.tensors == s.tensors && rank(x) < rank(s) }) {
			best = s
		}
	}
	if key != "" {
		i := slices.IndexFunc(all, func(s *stateDict) bool { return s.key() == key })
		if i < 0 {
			return nil, nil, fmt.Errorf("it has no state_dict under %q; it has %q", key, keysOf(all))
		}
		best = all[i]
	}
	return best, keysOf(slices.DeleteFunc(sorted, func(s *stateDict) bool { return s == best })), nil
}

func keysOf(all []*stateDict) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.key())
	}
	return out
}

// openPTH reads the descriptions of a PyTorch file.
func (f *File) openPTH(form form, size int64, key string) error {
	open := openZip
	f.layout = "PyTorch zip"
	if form == formLegacy {
		open = openLegacy
		f.layout = "PyTorch legacy"
	}
	p, err := open(f.r, size)
	if err != nil {
		return err
	}
	s, others, err := choose(findStateDicts(p.root), key)
	if err != nil {
		if o, ok := p.root.(*pyObject); ok {
			err = fmt.Errorf("it holds %s", describe(o))
		}
		return err
	}
	f.key, f.others, f.meta, f.inert = s.key(), others, plainEntries(p.root), map[string]string{}
	seen := make(map[string]bool, len(s.names))
	var total, stored int64
	counted := map[*pthStorage]bool{}
	for i, name := range s.names {
		if seen[name] {
			return fmt.Errorf("name %q stands twice", name)
		}
		seen[name] = true
		t, ok := s.values[i].(*pthTensor)
		if !ok {
			f.inert[name] = describe(s.values[i])
			continue
		}
		if name == "" || !utf8.ValidString(name) {
			return fmt.Errorf("tensor name %q is empty or no UTF-8", name)
		}
		if len(f.infos) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		info, err := p.place(name, t)
		if err != nil {
			return err
		}
		f.infos = append(f.infos, info)
		total += info.Bytes()
		whole := t.storage
		if whole != nil && whole.of != nil {
			whole = whole.of
		}
		if whole != nil && !counted[whole] {
			counted[whole] = true
			stored += whole.bytes
		}
		if total > maxShares*stored+smallView {
			return fmt.Errorf("its tensors have more than %d times the bytes that the file holds for them", maxShares)
		}
	}
	slices.SortStableFunc(f.infos, func(a, b Info) int { return cmp.Compare(a.begin, b.begin) })
	return nil
}

// maxShares bounds how often bytes may be shared between tensors on average.
const maxShares = 16

// plainEntries collects the numbers and short texts at the top of a checkpoint.
func plainEntries(root any) map[string]string {
	out := map[string]string{}
	d, ok := root.(*pyDict)
	if !ok {
		return out
	}
	for i, k := range d.keys {
		name, ok := text(k)
		if !ok || len(name) > 64 || !utf8.ValidString(name) {
			continue
		}
		name = "pytorch." + name
		switch v := d.values[i].(type) {
		case string:
			if len(v) <= 256 && utf8.ValidString(v) {
				out[name] = v
			}
		case int64:
			out[name] = strconv.FormatInt(v, 10)
		case float64:
			out[name] = strconv.FormatFloat(v, 'g', -1, 64)
		case bool:
			out[name] = strconv.FormatBool(v)
		}
	}
	return out
}
