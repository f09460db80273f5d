package weights

import (
	"errors"
	"fmt"
)

// stepContainer runs the operations of tuples, lists, dicts and sets.
func (m *pickleMachine) stepContainer(op byte) error {
	switch op {
	case ')': // EMPTY_TUPLE
		return m.push(pyTuple{})
	case 't': // TUPLE
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.push(pyTuple(items))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		items := make(pyTuple, op-0x84)
		for i := len(items) - 1; i >= 0; i-- {
			v, err := m.pop()
			if err != nil {
				return err
			}
			items[i] = v
		}
		return m.push(items)
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		if err := m.pay(costDict); err != nil {
			return err
		}
		return m.push(&pyList{})
	case 'l', 0x91: // LIST, FROZENSET
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.push(&pyList{items})
	case 'a': // APPEND
		v, err := m.pop()
		if err != nil {
			return err
		}
		return m.extend([]any{v})
	case 'e', 0x90: // APPENDS, ADDITEMS
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.extend(items)
	case '}': // EMPTY_DICT
		if err := m.pay(costDict); err != nil {
			return err
		}
		return m.push(&pyDict{})
	case 'd': // DICT
		items, err := m.popMark()
		if err != nil {
			return err
		}
		if err := m.push(&pyDict{}); err != nil {
			return err
		}
		return m.set(items)
	case 's': // SETITEM
		v, err := m.pop()
		if err != nil {
			return err
		}
		k, err := m.pop()
		if err != nil {
			return err
		}
		return m.set([]any{k, v})
	case 'u': // SETITEMS
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.set(items)
	}
	return errors.New("not an operation that weights need")
}

// extend adds items to the list on top of the stack.
func (m *pickleMachine) extend(items []any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *pyList:
		v.items = append(v.items, items...)
	case *pyObject:
	default:
		return fmt.Errorf("%s where a list must stand", describe(v))
	}
	return m.pay(int64(len(items)) * costValue)
}

// set sets keys and values, in turn, in the dict on top of the stack.
func (m *pickleMachine) set(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *pyDict:
		for i := 0; i < len(items); i += 2 {
			v.keys, v.values = append(v.keys, items[i]), append(v.values, items[i+1])
		}
	case *pyObject:
	default:
		return fmt.Errorf("%s where a dict must stand", describe(v))
	}
	return m.pay(int64(len(items)) * costValue)
}

// stepObject runs the operations that in Python import and call. Here they only
// make values.
func (m *pickleMachine) stepObject(op byte) error {
	switch op {
	case 'c', 'i': // GLOBAL, INST
		module, err := m.in.line()
		if err != nil {
			return err
		}
		name, err := m.in.line()
		if err != nil {
			return err
		}
		fn, err := m.global(module, name)
		if err != nil {
			return err
		}
		if op == 'c' {
			return m.push(fn)
		}
		args, err := m.popMark()
		if err != nil {
			return err
		}
		return m.result(fn, args)
	case 0x93: // STACK_GLOBAL
		n, err := m.pop()
		if err != nil {
			return err
		}
		mod, err := m.pop()
		if err != nil {
			return err
		}
		name, ok := text(n)
		module, ok2 := text(mod)
		if !ok || !ok2 {
			return errors.New("a name that is not text")
		}
		fn, err := m.global(module, name)
		if err != nil {
			return err
		}
		return m.push(fn)
	case 'o': // OBJ
		items, err := m.popMark()
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return errors.New("an object without a class")
		}
		return m.result(items[0], items[1:])
	case 'R', 0x81, 0x92: // REDUCE, NEWOBJ, NEWOBJ_EX
		if op == 0x92 {
			if _, err := m.pop(); err != nil {
				return err
			}
		}
		args, err := m.pop()
		if err != nil {
			return err
		}
		fn, err := m.pop()
		if err != nil {
			return err
		}
		t, ok := args.(pyTuple)
		if !ok {
			return fmt.Errorf("arguments are %s, not a tuple", describe(args))
		}
		return m.result(fn, t)
	case 'b': // BUILD
		state, err := m.pop()
		if err != nil {
			return err
		}
		v, err := m.top()
		if err != nil {
			return err
		}
		switch v := v.(type) {
		case *pyObject:
			v.state = state
		case *pyDict, *pyList, *pthTensor: // attributes of an OrderedDict ("_metadata")
		default:
			return fmt.Errorf("attributes for %s", describe(v))
		}
		return nil
	}
	id, err := m.pop() // BINPERSID
	if err != nil {
		return err
	}
	v, err := m.persis(id)
	if err != nil {
		return err
	}
	return m.push(v)
}

func (m *pickleMachine) global(module, name string) (*pyGlobal, error) {
	g := &pyGlobal{module + "." + name}
	if err := m.pay(int64(len(g.name))); err != nil {
		return nil, err
	}
	return g, harmful(module, name)
}

func (m *pickleMachine) result(fn any, args []any) error {
	v, err := m.call(fn, args)
	if err != nil {
		return err
	}
	if err := m.pay(costDict); err != nil {
		return err
	}
	return m.push(v)
}
