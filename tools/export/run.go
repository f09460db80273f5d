package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"manvision/arch"
	"manvision/device"
	"manvision/internal/atomicfile"
	"manvision/internal/cli"
	"manvision/onnx"
	"manvision/report"
)

func run(ctx context.Context, o *options) error {
	if st, err := os.Stat(o.out); err == nil && !st.Mode().IsRegular() {
		return cli.Usage("--out %s is a folder or a device; name a file", o.out)
	}
	if st, err := os.Stat(filepath.Dir(o.out)); err != nil || !st.IsDir() {
		return cli.Usage("--out %s: there is no folder %s", o.out, filepath.Dir(o.out))
	}
	dev, err := o.open()
	if err != nil {
		return err
	}
	defer dev.Close()
	f, free, err := load(ctx, o, dev)
	if err != nil {
		return cli.Input(err)
	}
	defer free()
	err = atomicfile.Save(o.out, func(w io.Writer) error {
		_, err := f.WriteTo(&interruptible{ctx, w})
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped: nothing was written")
		}
		if errors.Is(err, syscall.ENOSPC) {
			return err
		}
		return cli.Input(err)
	}
	return summarise(f, o)
}

// interruptible ends writing when the user stops the command.
type interruptible struct {
	ctx context.Context
	w   io.Writer
}

// Write implements io.Writer.
func (i *interruptible) Write(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.w.Write(p)
}

// load builds the network, fills it and prepares its file, which can be written until
// free is called.
func load(ctx context.Context, o *options, dev device.Device) (f *onnx.File, free func(), err error) {
	if o.arch != "" {
		a, err := arch.Find(o.arch)
		if err != nil {
			return nil, nil, cli.Usage("--arch: %w", err)
		}
		return loadArch(a, o, dev)
	}
	return loadTrained(ctx, o, dev)
}

// described is what --json tells of a file.
type described struct {
	File       string            `json:"file"`
	Bytes      int64             `json:"bytes"`
	Parameters int64             `json:"parameters"`
	Inputs     []port            `json:"inputs"`
	Outputs    []port            `json:"outputs"`
	Operations map[string]int    `json:"operations"`
	Metadata   map[string]string `json:"metadata"`
}

// port is an input or output; an axis is a number or, where it is known only at run
// time, a name.
type port struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []any  `json:"shape"`
}

func ports(list []onnx.Value) []port {
	var out []port
	for _, v := range list {
		p := port{Name: v.Name, Type: v.Type, Shape: []any{}}
		for _, d := range v.Dims {
			if d.Name != "" {
				p.Shape = append(p.Shape, d.Name)
			} else {
				p.Shape = append(p.Shape, d.Size)
			}
		}
		out = append(out, p)
	}
	return out
}

func summarise(f *onnx.File, o *options) error {
	out := o.streams.Out
	if o.json != "" {
		d := described{File: o.out, Bytes: f.Size(), Parameters: f.Parameters, Inputs: ports(f.Inputs), Outputs: ports(f.Outputs), Operations: f.Nodes(), Metadata: map[string]string{}}
		for _, p := range f.Metadata {
			d.Metadata[p.Key] = p.Value
		}
		if err := cli.WriteJSON(o.json, out, d); err != nil {
			return err
		}
		if o.json == "-" {
			return nil
		}
	}
	t := report.NewTable("", "name", "type and shape")
	for _, v := range f.Inputs {
		t.Row("input", v.Name, shape(v))
	}
	for _, v := range f.Outputs {
		t.Row("output", v.Name, shape(v))
	}
	if err := t.Write(out, o.streams.Terminal); err != nil {
		return err
	}
	operations := 0
	for _, n := range f.Nodes() {
		operations += n
	}
	_, err := fmt.Fprintf(out, "%s: %.1f MB, %d operations, %d parameters\n", o.out, float64(f.Size())/1e6, operations, f.Parameters)
	return err
}
