package weights

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// pickleMachine runs the part of pickle's stack machine that builds data. No
// operation calls anything: calls go to the function given here, which knows the
// few names that a state_dict needs. There is no recursion, and every value is
// paid for from a budget of bytes.
type pickleMachine struct {
	in     *pickleReader
	call   func(fn any, args pyTuple) (any, error)
	persis func(id any) (any, error)
	budget *int64

	stack []any
	marks []int // where in stack the marks lie
	memo  map[uint64]any
}

// What a value costs beside its text: generous, so that the sum is what the
// program really takes.
const (
	costValue = 32
	costDict  = 64
	costMemo  = 96
)

func (m *pickleMachine) pay(n int64) error {
	*m.budget -= n
	if *m.budget < 0 {
		return errors.New("more objects than a file of this size may have")
	}
	return nil
}

func (m *pickleMachine) push(v any) error {
	m.stack = append(m.stack, v)
	return m.pay(costValue)
}

// pop takes the top value above the last mark.
func (m *pickleMachine) pop() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errors.New("nothing on the stack")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *pickleMachine) top() (any, error) {
	v, err := m.pop()
	if err == nil {
		m.stack = m.stack[:len(m.stack)+1]
	}
	return v, err
}

func (m *pickleMachine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// popMark takes the values above the last mark, and the mark.
func (m *pickleMachine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("no mark on the stack")
	}
	at := m.floor()
	items := slices.Clone(m.stack[at:])
	m.stack, m.marks = m.stack[:at], m.marks[:len(m.marks)-1]
	return items, m.pay(int64(len(items)) * 16)
}

// load runs one pickle up to its STOP and returns its value.
func (m *pickleMachine) load() (any, error) {
	m.stack, m.marks, m.memo = nil, nil, map[uint64]any{}
	for {
		at := m.in.pos
		op, err := m.in.byte()
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
		if op == '.' {
			v, err := m.pop()
			if err == nil && (len(m.stack) > 0 || len(m.marks) > 0) {
				err = errors.New("values left over at the end")
			}
			if err != nil {
				return nil, fmt.Errorf("byte %d: %w", at, err)
			}
			return v, nil
		}
		if err := m.step(op); err != nil {
			return nil, fmt.Errorf("byte %d, operation %q: %w", at, op, err)
		}
	}
}

func (m *pickleMachine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.in.byte()
		if err == nil && v > 5 {
			err = fmt.Errorf("pickle protocol %d; 1 to 5 are known", v)
		}
		return err
	case 0x95: // FRAME
		n, err := m.in.number(8)
		if err != nil {
			return err
		}
		return m.in.has(n)
	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
		return m.pay(costValue)
	case '0': // POP
		if len(m.marks) > 0 && len(m.stack) == m.floor() {
			m.marks = m.marks[:len(m.marks)-1]
			return nil
		}
		_, err := m.pop()
		return err
	case '1': // POP_MARK
		_, err := m.popMark()
		return err
	case '2': // DUP
		v, err := m.top()
		if err != nil {
			return err
		}
		return m.push(v)
	case 'N':
		return m.push(pyNone{})
	case 0x88:
		return m.push(true)
	case 0x89:
		return m.push(false)
	case 'I', 'L', 'F', 'K', 'M', 'J', 0x8a, 0x8b, 'G':
		return m.stepNumber(op)
	case 'S', 'V', 'T', 'U', 'X', 0x8c, 0x8d, 'B', 'C', 0x8e, 0x96:
		return m.stepText(op)
	case 'g', 'h', 'j', 'p', 'q', 'r', 0x94:
		return m.stepMemo(op)
	case 'c', 0x93, 'R', 'i', 'o', 0x81, 0x92, 'b', 'Q':
		return m.stepObject(op)
	}
	return m.stepContainer(op)
}

func (m *pickleMachine) stepNumber(op byte) error {
	switch op {
	case 'K', 'M', 'J': // BININT1, BININT2, BININT
		n, err := m.in.number(map[byte]int{'K': 1, 'M': 2, 'J': 4}[op])
		if err != nil {
			return err
		}
		if op == 'J' {
			return m.push(int64(int32(n)))
		}
		return m.push(int64(n))
	case 'G': // BINFLOAT, big-endian
		b, err := m.in.take(8)
		if err != nil {
			return err
		}
		var u uint64
		for _, c := range b {
			u = u<<8 | uint64(c)
		}
		return m.push(math.Float64frombits(u))
	case 0x8a, 0x8b: // LONG1, LONG4
		n, err := m.in.number(map[byte]int{0x8a: 1, 0x8b: 4}[op])
		if err != nil {
			return err
		}
		if n > longNumber {
			if err := m.in.skip(n); err != nil {
				return err
			}
			return m.push(pyLong{})
		}
		b, err := m.in.take(int(n))
		if err != nil {
			return err
		}
		return m.push(twosComplement(b))
	}
	s, err := m.in.line()
	if err != nil {
		return err
	}
	switch {
	case len(s) > longNumber:
		return m.push(pyLong{})
	case op == 'F':
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", s)
		}
		return m.push(f)
	case op == 'I' && (s == "00" || s == "01"):
		return m.push(s == "01")
	}
	v, ok := new(big.Int).SetString(strings.TrimSuffix(s, "L"), 10)
	if !ok {
		return fmt.Errorf("%q is no whole number", s)
	}
	return m.push(small(v))
}

// twosComplement reads a little-endian signed number.
func twosComplement(b []byte) any {
	if len(b) == 0 {
		return int64(0)
	}
	be := slices.Clone(b)
	slices.Reverse(be)
	v := new(big.Int).SetBytes(be)
	if be[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	return small(v)
}

func small(v *big.Int) any {
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

// lengthBytes has how many bytes give the length of text.
var lengthBytes = map[byte]int{'T': 4, 'U': 1, 'X': 4, 0x8c: 1, 0x8d: 8, 'B': 4, 'C': 1, 0x8e: 8, 0x96: 8}

func (m *pickleMachine) stepText(op byte) error {
	size, ok := lengthBytes[op]
	if !ok { // STRING, UNICODE
		s, err := m.in.line()
		if err != nil {
			return err
		}
		if op == 'S' {
			if n := len(s); n < 2 || s[0] != s[n-1] || s[0] != '\'' && s[0] != '"' {
				return errors.New("text without quotes")
			}
			s = s[1 : len(s)-1]
		}
		if err := m.pay(int64(len(s))); err != nil {
			return err
		}
		return m.push(s)
	}
	n, err := m.in.number(size)
	if err != nil {
		return err
	}
	if n >= longText {
		if err := m.in.skip(n); err != nil {
			return err
		}
		return m.push(pyLong{})
	}
	if err := m.pay(int64(n)); err != nil {
		return err
	}
	b, err := m.in.take(int(n))
	if err != nil {
		return err
	}
	return m.push(string(b))
}

func (m *pickleMachine) stepMemo(op byte) error {
	var at uint64
	var err error
	switch op {
	case 'h', 'q': // BINGET, BINPUT
		at, err = m.in.number(1)
	case 'j', 'r': // LONG_BINGET, LONG_BINPUT
		at, err = m.in.number(4)
	case 0x94: // MEMOIZE
		at = uint64(len(m.memo))
	default: // GET, PUT
		var s string
		if s, err = m.in.line(); err == nil {
			at, err = strconv.ParseUint(s, 10, 32)
		}
	}
	if err != nil {
		return err
	}
	if op == 'g' || op == 'h' || op == 'j' {
		v, ok := m.memo[at]
		if !ok {
			return fmt.Errorf("nothing was remembered as number %d", at)
		}
		return m.push(v)
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[at] = v
	return m.pay(costMemo)
}
