// Package report makes what people look at: drawn detections, contact sheets,
// comparisons, curves and text tables. It knows no model and no data set; the
// pictures are ordinary image.Image values.
package report
