package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
)

// FormatVersion is the version of the checkpoints that Save writes.
const FormatVersion = 1

// checkpointKey is the metadata entry with the JSON of Meta.
const checkpointKey = "manvision_checkpoint"

// Prefixes of the tensors' names in a checkpoint file.
const (
	paramPrefix  = "param/"
	bufferPrefix = "buffer/"
	optimPrefix  = "optim/"
)

// Meta is everything of a checkpoint that is no tensor. The raw JSON fields
// belong to the packages that fill them and come back equal but for
// white space.
type Meta struct {
	Format   int      `json:"format"` // set by Save
	Identity Identity `json:"identity"`

	Step  int64 `json:"step"`  // optimizer steps done
	Epoch int64 `json:"epoch"` // epochs completed

	// Score ranks checkpoints, greater is better; nil where none was measured.
	Score   *float64 `json:"score,omitempty"`
	Metrics Metrics  `json:"metrics,omitempty"`

	Schedule json.RawMessage `json:"schedule,omitempty"`
	Sampler  json.RawMessage `json:"sampler,omitempty"`
	RNG      json.RawMessage `json:"rng,omitempty"`
	EMA      json.RawMessage `json:"ema,omitempty"`    // momentum, order; the copies themselves are Params
	IDMap    json.RawMessage `json:"id_map,omitempty"` // category id, contiguous label, name

	Config string                     `json:"config,omitempty"` // the resolved recipe, YAML
	Extra  map[string]json.RawMessage `json:"extra,omitempty"`
}

// Metrics are measured results by name. NaN and infinities survive storage as
// NaN (JSON null).
type Metrics map[string]float64

// MarshalJSON writes numbers that JSON lacks as null.
func (m Metrics) MarshalJSON() ([]byte, error) {
	out := make(map[string]*float64, len(m))
	for k, v := range m {
		out[k] = nil
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[k] = &v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads null as NaN.
func (m *Metrics) UnmarshalJSON(b []byte) error {
	var in map[string]*float64
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*m = make(Metrics, len(in))
	for k, v := range in {
		(*m)[k] = math.NaN()
		if v != nil {
			(*m)[k] = *v
		}
	}
	return nil
}

// Checkpoint is the state of a run. Names are those of the model without any
// prefix; an optimizer tensor is called <state>/<parameter>, e.g.
// "momentum_buffer/backbone.conv1.weight".
type Checkpoint struct {
	Meta      Meta
	Params    []Tensor // trained parameters and EMA copies
	Buffers   []Tensor // running statistics
	Optimizer []Tensor
}

// Save writes the checkpoint to path, a name ending in .safetensors, replacing
// one that is there atomically: the tensors and, in the file's metadata, Meta.
// Beside it, path with .json instead, goes an indented copy of Meta for people;
// no program reads it. After an error (a full disk) both files are as before and
// nothing half written is left.
func Save(path string, c *Checkpoint) error {
	if filepath.Ext(path) != ".safetensors" {
		return fmt.Errorf("checkpoint %s: the name must end in .safetensors", path)
	}
	m := c.Meta
	m.Format = FormatVersion
	m.Score = finite(m.Score)
	text, err := encode(m, "")
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	readable, err := encode(m, "  ")
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	var all []Tensor
	for _, part := range []struct {
		prefix  string
		tensors []Tensor
	}{{paramPrefix, c.Params}, {bufferPrefix, c.Buffers}, {optimPrefix, c.Optimizer}} {
		for _, t := range part.tensors {
			t.Name = part.prefix + t.Name
			all = append(all, t)
		}
	}
	return replace([]output{
		{path, func(w io.Writer) error { return Write(w, all, map[string]string{checkpointKey: string(text)}) }},
		{strings.TrimSuffix(path, ".safetensors") + ".json", func(w io.Writer) error {
			_, err := w.Write(readable)
			return err
		}},
	})
}

// encode writes Meta as JSON, leaving < > & in the raw fields as they are.
func encode(m Meta, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(m)
	return b.Bytes(), err
}

// finite returns the score, or nil for NaN and infinities, which rank nowhere.
func finite(score *float64) *float64 {
	if score == nil || math.IsNaN(*score) || math.IsInf(*score, 0) {
		return nil
	}
	return score
}

// Load reads a whole checkpoint.
func Load(path string) (*Checkpoint, error) {
	return load(path, paramPrefix, bufferPrefix, optimPrefix)
}

// LoadParams reads what inference needs, parameters and buffers; the optimizer's
// tensors are not touched.
func LoadParams(path string) (*Checkpoint, error) { return load(path, paramPrefix, bufferPrefix) }

// LoadMeta reads the header of a checkpoint alone.
func LoadMeta(path string) (*Meta, error) {
	c, err := load(path)
	if err != nil {
		return nil, err
	}
	return &c.Meta, nil
}

func load(path string, prefixes ...string) (*Checkpoint, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &Checkpoint{}
	if c.Meta, err = readMeta(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, info := range f.Tensors() {
		for _, prefix := range prefixes {
			name, ok := strings.CutPrefix(info.Name, prefix)
			if !ok {
				continue
			}
			t, err := f.Read(info.Name)
			if err != nil {
				return nil, err
			}
			t.Name = name
			switch prefix {
			case paramPrefix:
				c.Params = append(c.Params, t)
			case bufferPrefix:
				c.Buffers = append(c.Buffers, t)
			case optimPrefix:
				c.Optimizer = append(c.Optimizer, t)
			}
		}
	}
	return c, nil
}

// IsCheckpoint reports whether the file is a checkpoint of a run, of which Load reads
// more than tensors.
func (f *File) IsCheckpoint() bool {
	_, ok := f.Metadata()[checkpointKey]
	return ok
}

func readMeta(f *File) (Meta, error) {
	var m Meta
	text, ok := f.Metadata()[checkpointKey]
	if !ok {
		return m, errors.New("plain weights, not a checkpoint of a run; use the file as model.pretrained")
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("checkpoint metadata: %w", err)
	}
	if m.Format < 1 || m.Format > FormatVersion {
		return m, fmt.Errorf("checkpoint format %d; this program reads 1 to %d", m.Format, FormatVersion)
	}
	return m, nil
}
