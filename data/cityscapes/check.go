package cityscapes

import (
	"context"

	"manvision/data/labelmap"
)

// Check lists everything that is wrong with a split at once and counts pixels by
// class, see [labelmap.Check]. It also says when the values of all files together
// look like the other coding, which single files cannot show.
func Check(ctx context.Context, root, split string, o Options, c labelmap.CheckOptions) (*labelmap.Report, error) {
	s, err := Scan(root, split, o)
	if err != nil {
		return nil, err
	}
	if s.Coding.Draw == nil {
		c.Warn = func(values *[256]int64) []labelmap.Finding { return doubt(s.Coding.Name, values) }
	}
	return labelmap.Check(ctx, s, c)
}

// doubt compares the values of a whole set with what street scenes hold. All sky,
// vegetation and vehicles have label ids above 18, and 0..6 are never trained.
func doubt(coding string, values *[256]int64) []labelmap.Finding {
	var total, high, void int64
	for v, n := range values {
		total += n
		if v >= Classes && v < IDs {
			high += n
		}
		if v < 7 {
			void += n
		}
	}
	if coding == labelIDs.Name && total > 0 && high == 0 && void < total {
		return []labelmap.Finding{{Severity: labelmap.SeverityWarning, Kind: "label ids that look like training ids", Count: 1,
			Examples: []string{"no file has a value above 18 (sky, vegetation, vehicles): are these labelTrainIds files that were renamed?"}}}
	}
	return nil
}
