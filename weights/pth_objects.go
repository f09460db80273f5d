package weights

import (
	"fmt"
	"math"
	"strings"
)

// pthKind is the element type of a storage.
type pthKind struct {
	dtype DType // by safetensors' name, or a name of its own where Read refuses it
	size  int64
	why   string // why Read refuses it; "" where it does not
}

const (
	isComplex   = "has complex elements; save its real and imaginary part (torch.view_as_real) as tensors of their own"
	isQuantised = "is quantised; save it with .dequantize()"
)

// pthKinds has the element types by the name before "Storage".
var pthKinds = map[string]pthKind{
	"Double": {F64, 8, ""}, "Float": {F32, 4, ""}, "Half": {F16, 2, ""}, "BFloat16": {BF16, 2, ""},
	"Long": {I64, 8, ""}, "Int": {I32, 4, ""}, "Short": {I16, 2, ""}, "Char": {I8, 1, ""}, "Byte": {U8, 1, ""}, "Bool": {Bool, 1, ""},
	"ComplexFloat": {"C64", 8, isComplex}, "ComplexDouble": {"C128", 16, isComplex},
	"QUInt8": {"QUINT8", 1, isQuantised}, "QInt8": {"QINT8", 1, isQuantised}, "QInt32": {"QINT32", 4, isQuantised},
	"QUInt4x2": {"QUINT4X2", 1, isQuantised}, "QUInt2x4": {"QUINT2X4", 1, isQuantised},
	"Untyped": {"", 1, ""},
}

// torchTypes has the element types by the names of torch.dtype, for tensors on
// untyped storages.
var torchTypes = map[string]pthKind{
	"torch.float64": {F64, 8, ""}, "torch.float32": {F32, 4, ""}, "torch.float16": {F16, 2, ""}, "torch.bfloat16": {BF16, 2, ""},
	"torch.int64": {I64, 8, ""}, "torch.int32": {I32, 4, ""}, "torch.int16": {I16, 2, ""}, "torch.int8": {I8, 1, ""}, "torch.uint8": {U8, 1, ""}, "torch.bool": {Bool, 1, ""},
}

// pthStorage is an array of elements in the file. Equal keys are equal pointers.
type pthStorage struct {
	key   string
	kind  pthKind
	count int64 // elements

	// Of a storage that is a part of another (legacy files): where it starts.
	of    *pthStorage
	start int64

	at    int64     // where the elements lie in the file; set when they are found
	bytes int64     // how many there are; set with at
	entry *zipEntry // nil in a legacy file
}

// pthTensor is a view of a storage, not yet checked against it.
type pthTensor struct {
	storage        *pthStorage
	kind           pthKind
	offset         int64 // elements
	shape, strides []int64
	why            string // why it cannot be read; storage may be nil then
}

// pthObjects knows the names that a state_dict needs and makes its values.
type pthObjects struct {
	storages map[string]*pthStorage
}

// harmful refuses names that no honest weights refer to. It is a courtesy to the
// user: names that it does not list make inert values and are not run either.
func harmful(module, name string) error {
	root, _, _ := strings.Cut(module, ".")
	switch root {
	case "os", "posix", "nt", "subprocess", "sys", "pty", "socket", "shutil", "importlib", "runpy", "ctypes", "pickle", "_pickle":
		return fmt.Errorf("the file wants to run %s.%s: it is no honest file of weights (nothing was run)", module, name)
	case "builtins", "__builtin__", "io", "_io":
		switch name {
		case "eval", "exec", "execfile", "compile", "open", "__import__", "apply", "input", "breakpoint", "globals", "FileIO", "OpenWrapper":
			return fmt.Errorf("the file wants to run %s.%s: it is no honest file of weights (nothing was run)", module, name)
		}
	}
	return nil
}

// call makes the value of a call of fn, for the few that tensors and dicts need;
// any other call is not made and gives an inert value.
func (o *pthObjects) call(fn any, args pyTuple) (any, error) {
	switch fn := fn.(type) {
	case *pyObject: // the result of a call that was not made
		return &pyObject{class: fn.class}, nil
	case *pyGlobal:
		return o.callGlobal(fn.name, args)
	}
	return nil, fmt.Errorf("a call of %s", describe(fn))
}

func (o *pthObjects) callGlobal(name string, args pyTuple) (any, error) {
	switch name {
	case "collections.OrderedDict":
		return orderedDict(args)
	case "collections.defaultdict", "builtins.dict", "__builtin__.dict":
		return &pyDict{}, nil
	case "builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset":
		if len(args) == 1 {
			if l, ok := args[0].(*pyList); ok {
				return l, nil
			}
		}
		return &pyList{}, nil
	case "torch.Size":
		if len(args) == 1 {
			if t, ok := args[0].(pyTuple); ok {
				return t, nil
			}
		}
	case "torch._utils._rebuild_tensor": // storage, offset, size, stride
		return rebuild(name, args, 4)
	case "torch._utils._rebuild_tensor_v2": // and requires_grad, hooks, metadata
		return rebuild(name, args, 6)
	case "torch._utils._rebuild_tensor_v3": // and requires_grad, hooks, dtype, metadata
		if len(args) < 7 {
			return nil, fmt.Errorf("%s with %d arguments", name, len(args))
		}
		t, err := rebuild(name, args, 6)
		if err != nil {
			return nil, err
		}
		g, ok := args[6].(*pyGlobal)
		if !ok {
			return nil, fmt.Errorf("%s: element type is %s", name, describe(args[6]))
		}
		if t.kind, ok = torchTypes[g.name]; !ok {
			t.kind = pthKind{DType(g.name), 1, "has elements of type " + g.name + ", which are not known"}
		}
		return t, nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter":
		if len(args) > 0 {
			if t, ok := args[0].(*pthTensor); ok {
				return t, nil
			}
		}
	case "torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type": // function, class, its arguments, attributes
		if len(args) >= 3 {
			if inner, ok := args[2].(pyTuple); ok {
				if g, ok := args[0].(*pyGlobal); ok && strings.HasPrefix(g.name, "torch._utils._rebuild_") {
					return o.callGlobal(g.name, inner)
				}
			}
		}
	case "torch._utils._rebuild_qtensor":
		t, err := rebuild(name, args, 4)
		if err != nil {
			return nil, err
		}
		t.why = isQuantised
		return t, nil
	case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor":
		return &pthTensor{why: "is sparse; save it with .to_dense()"}, nil
	case "torch._utils._rebuild_meta_tensor_no_storage":
		return &pthTensor{why: "has no elements in the file (a tensor on torch's meta device)"}, nil
	}
	return &pyObject{class: name}, nil
}

// orderedDict makes a dict of a list of pairs, as Python 2 wrote it.
func orderedDict(args pyTuple) (any, error) {
	d := &pyDict{}
	if len(args) == 0 {
		return d, nil
	}
	l, ok := args[0].(*pyList)
	if !ok {
		return nil, fmt.Errorf("a dict of %s", describe(args[0]))
	}
	for _, v := range l.items {
		var pair []any
		switch v := v.(type) {
		case pyTuple:
			pair = v
		case *pyList:
			pair = v.items
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("a dict's entry is %s, not a pair", describe(v))
		}
		d.keys, d.values = append(d.keys, pair[0]), append(d.values, pair[1])
	}
	return d, nil
}

// rebuild reads the arguments of a function that makes a tensor from a storage.
func rebuild(name string, args pyTuple, least int) (*pthTensor, error) {
	if len(args) < least {
		return nil, fmt.Errorf("%s with %d arguments", name, len(args))
	}
	s, ok := args[0].(*pthStorage)
	if !ok {
		return nil, fmt.Errorf("%s: a tensor on %s", name, describe(args[0]))
	}
	t := &pthTensor{storage: s, kind: s.kind}
	var err error
	if t.offset, err = whole(args[1]); err == nil {
		if t.shape, err = sizes(args[2]); err == nil {
			t.strides, err = sizes(args[3])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func sizes(v any) ([]int64, error) {
	t, ok := v.(pyTuple)
	if !ok {
		return nil, fmt.Errorf("%s where a shape must stand", describe(v))
	}
	if len(t) > maxRank {
		return nil, fmt.Errorf("a tensor of %d dimensions; %d are the most", len(t), maxRank)
	}
	out := make([]int64, len(t))
	for i, v := range t {
		n, err := whole(v)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// persistent finds the storage of a persistent id: ("storage", class, key,
// location, elements), in legacy files with a part of it as sixth.
func (o *pthObjects) persistent(id any) (any, error) {
	t, ok := id.(pyTuple)
	if !ok || len(t) < 2 {
		return nil, fmt.Errorf("a persistent id that is %s", describe(id))
	}
	switch what, _ := text(t[0]); {
	case what == "module": // the class of a whole model in a legacy file
		return t[1], nil
	case what != "storage" || len(t) < 5:
		return nil, fmt.Errorf("a persistent id of %d parts that is no storage", len(t))
	}
	kind, err := storageKind(t[1])
	if err != nil {
		return nil, err
	}
	key, ok := text(t[2])
	if !ok {
		return nil, fmt.Errorf("a storage whose key is %s", describe(t[2]))
	}
	n, err := whole(t[4])
	if err != nil || n < 0 || n > math.MaxInt64/16 {
		return nil, fmt.Errorf("storage %q with %v elements", key, t[4])
	}
	s, err := o.storage(key, kind, n)
	if err != nil || len(t) < 6 {
		return s, err
	}
	if _, whole := t[5].(pyNone); whole {
		return s, nil
	}
	view, ok := t[5].(pyTuple)
	if !ok || len(view) != 3 {
		return nil, fmt.Errorf("storage %q: its part is %s", key, describe(t[5]))
	}
	part, ok := text(view[0])
	start, err := whole(view[1])
	length, err2 := whole(view[2])
	if !ok || err != nil || err2 != nil || start < 0 || length < 0 || start > n || length > n-start {
		return nil, fmt.Errorf("storage %q: its part lies outside", key)
	}
	v, err := o.storage("part "+part, kind, length)
	if err != nil {
		return nil, err
	}
	if v.of != nil && (v.of != s || v.start != start) || s.of != nil {
		return nil, fmt.Errorf("storage %q: its part %q is described twice", key, part)
	}
	v.of, v.start = s, start
	return v, nil
}

func (o *pthObjects) storage(key string, kind pthKind, n int64) (*pthStorage, error) {
	s, ok := o.storages[key]
	if !ok {
		s = &pthStorage{key: key, kind: kind, count: n}
		o.storages[key] = s
	}
	if s.kind != kind || s.count != n {
		return nil, fmt.Errorf("storage %q is described twice, differently", key)
	}
	return s, nil
}

// storageKind reads a storage class: torch.FloatStorage, torch.cuda.FloatStorage.
func storageKind(v any) (pthKind, error) {
	g, ok := v.(*pyGlobal)
	if !ok {
		return pthKind{}, fmt.Errorf("a storage whose class is %s", describe(v))
	}
	name, ok := strings.CutPrefix(g.name, "torch.")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "cuda."), "storage.")
	name, ok2 := strings.CutSuffix(name, "Storage")
	kind, known := pthKinds[name]
	if !ok || !ok2 || !known {
		return pthKind{}, fmt.Errorf("a storage of the unknown class %s", g.name)
	}
	return kind, nil
}
