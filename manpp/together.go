package manpp

import (
	"manvision/device"
	"manvision/exec"
)

// waits is the greatest number of elements of a parameter whose update waits for those
// of the block's other small ones: as many as a kernel leaves to one thread. Gradients
// of larger ones would cost memory if they waited, and fill a launch of their own.
const waits = 8192

// together joins posts of the kinds that device.Together has into one launch for each
// group.
func together(posts []exec.Post) []exec.Post {
	at := map[string]int{}
	var out []exec.Post
	for _, p := range posts {
		i, ok := at[p.Group]
		if !ok {
			i = len(out)
			at[p.Group] = i
			out = append(out, exec.Post{Op: device.Together{}, Group: p.Group})
		}
		t := out[i].Op.(device.Together)
		t.Ops = append(t.Ops, p.Op)
		out[i].Op = t
		out[i].In = append(out[i].In, p.In...)
		out[i].Out = append(out[i].Out, p.Out...)
	}
	return out
}
