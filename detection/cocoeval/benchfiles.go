package cocoeval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"manvision/data/coco"
	"manvision/data/coco/mask"
)

// WriteBenchmarkFiles writes instances.json and results.json into dir: images of
// 640x480 with 80 classes, about 7.3 objects an image with outlines of 24 points
// (as many as val2017 has), and detections spread evenly over the images, a
// third of them near an object. The files are a pure function of the counts and
// the seed. It returns both paths.
func WriteBenchmarkFiles(dir string, images, detections int, seed uint64) (gt, dt string, err error) {
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	const width, height, classes = 640, 480, 80
	cents := func(v float64) float64 { return math.Round(v*100) / 100 }
	var categories []coco.Category
	for c := range classes {
		categories = append(categories, coco.Category{ID: c + 1 + c/9, Name: fmt.Sprintf("class %d", c)})
	}
	// A few classes make up most of the objects, as in COCO.
	class := func() int { return categories[int(classes*math.Pow(rng.Float64(), 2.5))].ID }
	box := func() [4]float64 {
		w := math.Exp(math.Log(8) + rng.Float64()*math.Log(width/9.0))
		h := min(w*(0.5+1.5*rng.Float64()), height-1)
		return [4]float64{cents(rng.Float64() * (width - w)), cents(rng.Float64() * (height - h)), cents(w), cents(h)}
	}
	var ims []coco.Image
	var anns []coco.Annotation
	results := make([]coco.Result, 0, detections)
	for i := range images {
		im := coco.Image{ID: int64(i)*97 + 139, FileName: fmt.Sprintf("%012d.jpg", i), Width: width, Height: height}
		ims = append(ims, im)
		first := len(anns)
		for range int(rng.ExpFloat64() * 7.8) {
			b := box()
			const points = 24
			outline := make([]float64, 0, 2*points)
			for p := range points {
				sin, cos := math.Sincos(2 * math.Pi * float64(p) / points)
				outline = append(outline, cents(b[0]+b[2]*(.5+.5*cos)), cents(b[1]+b[3]*(.5+.5*sin)))
			}
			anns = append(anns, coco.Annotation{
				ID: int64(len(anns))*13 + 17, ImageID: im.ID, CategoryID: class(), Box: b, Area: cents(b[2] * b[3] * .7),
				Segmentation: mask.Segmentation{Polygons: [][]float64{outline}},
			})
		}
		own := anns[first:]
		for range detections*(i+1)/images - detections*i/images {
			r := coco.Result{ImageID: im.ID, CategoryID: class(), BBox: box(), Score: math.Round(rng.Float64()*math.Sqrt(rng.Float64())*1e5) / 1e5}
			if len(own) > 0 && rng.IntN(3) == 0 {
				a := own[rng.IntN(len(own))]
				r.CategoryID, r.BBox = a.CategoryID, a.Box
				spread := rng.Float64() * .3
				for k := range r.BBox {
					r.BBox[k] = cents(r.BBox[k] + (rng.Float64()-.5)*spread*a.Box[2+k%2])
				}
			}
			results = append(results, r)
		}
	}
	gt, dt = filepath.Join(dir, "instances.json"), filepath.Join(dir, "results.json")
	if err := coco.WriteInstances(gt, ims, categories, anns); err != nil {
		return "", "", err
	}
	return gt, dt, coco.WriteResults(dt, results)
}
