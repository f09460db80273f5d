package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/internal/testdata"
)

// city is the shortest recipe of segmentation that is right.
const city = "task: segmentation\ndata: {format: cityscapes}\n"

func TestSegmentationDefaults(t *testing.T) {
	c, err := Parse("x", []byte(city), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := c.Model.Segmentation
	if m.Head != "deeplabv3" || m.OutputStride != 8 || m.ASPPChannels != 256 || c.Data.Train.Split != "train" || c.Data.Val.Split != "val" || c.Data.Crop[0] != 1024 || c.Eval.Segmentation.Mode != "auto" {
		t.Errorf("%+v", c)
	}
	// A resolved recipe states every key, those of the other task too.
	if _, err := Parse("resolved", c.Resolved(), nil); err != nil {
		t.Error(err)
	}
}

func TestSegmentationFaults(t *testing.T) {
	for _, c := range []struct{ name, text, set, want string }{
		{"format", "task: segmentation\n", "", `data.format is "coco"; task segmentation reads cityscapes, folders, shapes`},
		{"format of detection", "data: {format: cityscapes}\n", "", `x:1: data.format is "cityscapes"; task detection reads coco, shapes`},
		{"key of detection", city + "model:\n  fpn_channels: 64\n", "", "x:4: model.fpn_channels has no effect with task segmentation; remove it"},
		{"section of detection", city + "model:\n  anchors:\n    ratios: [1]\n", "", "x:5: model.anchors.ratios has no effect with task segmentation"},
		{"key of segmentation", "data: {crop: [64, 64]}\n", "", "x:1: data.crop has no effect with task detection"},
		{"by flag", city, "eval.nms_iou=0.3", "--set eval.nms_iou=0.3: eval.nms_iou has no effect with task segmentation"},
		{"metric", city + "expect: [{metric: AP, min: 0.5}]\n", "", "x:3: expect: task segmentation does not measure AP; it measures mIoU, pixel_accuracy, mean_accuracy"},
		{"metric of segmentation", "expect: [{metric: mIoU, min: 0.5}]\n", "", "x:1: expect: task detection does not measure mIoU"},
		{"stride", city, "model.segmentation.output_stride=12", "output_stride is 12; it must be 8 or 16"},
		{"rates", city, "model.segmentation.aspp_rates=[6, 12]", "model.segmentation.aspp_rates has 2 entries; it must have 0 or 3"},
		{"rates without ASPP", city + "model: {segmentation: {head: fcn, dropout: 0.3}}\n", "", "x:3: model.segmentation.dropout has no effect with head fcn"},
		{"ohem", city, "model.segmentation.ohem_min_kept=100", "ohem_min_kept has no effect while ohem_threshold is 0"},
		{"batch of one", city, "train.batch=1", "--set train.batch=1: train.batch is 1; the image pooling of deeplabv3 is normalised over the batch"},
		{"batch of one, frozen", city + "model: {norm: frozen}\ntrain: {batch: 1}\nmanpp: {task_weight: 0}\n", "", "local heads would have no loss"},
		{"no local loss", city, "manpp.task_weight=0", "local heads would have no loss"},
		{"decoder", city, "manpp.decoder_channels=64", "manpp.decoder_channels has no effect while manpp.recon_weight is 0"},
		{"crop", city, "data.crop=[769, 769]", "data.crop is [769 769]; both sides must be multiples of 32"},
		{"scale", city, "data.scale=[2, 0.5]", "data.scale is [2 0.5]; the least factor comes first"},
		{"share", city, "data.cat_max_ratio=0", "data.cat_max_ratio is 0; it must be above 0 and at most 1"},
		{"colours", city + "data: {photometric: true, jitter: {hue: 0.1}}\n", "", `key "data" stands twice`},
		{"two colours", "task: segmentation\ndata: {format: cityscapes, photometric: true, jitter: {hue: 0.1}}\n", "", "x:2: data.photometric and data.jitter both change colours"},
		{"split", city, "data.val.split=", "must name the splits"},
		{"folder of cityscapes", city, "data.train.images=a", "data.train.images has no effect with data.format cityscapes"},
		{"split of folders", "task: segmentation\ndata: {format: folders, segmentation: {classes: [a, b]}, val: {split: test}}\n", "", "x:2: data.val.split has no effect with data.format folders"},
		{"no classes", "task: segmentation\ndata: {format: folders}\n", "", "data.segmentation.classes has 0 names"},
		{"class twice", "task: segmentation\ndata: {format: folders, segmentation: {classes: [a, a]}}\n", "", `x:2: data.segmentation.classes[1] is "a"; every class needs a name of its own`},
		{"ignored class", "task: segmentation\ndata: {format: folders, segmentation: {classes: [a, b], ignore: 1}}\n", "", `x:2: data.segmentation.ignore is 1, the value of class "b"; it must be 2 to 255`},
		{"window", city, "eval.segmentation.mode=slide", `eval.segmentation.window is empty; mode "slide" needs`},
		{"idle window", city, "eval.segmentation={mode: whole, window: [512, 512]}", `eval.segmentation.window has no effect with mode "whole"`},
		{"gaps", city, "eval.segmentation={mode: slide, window: [512, 512], stride: [600, 300]}", "stride [600 300] is larger than the window [512 512]"},
		{"stride alone", city, "eval.segmentation.stride=[64, 64]", "eval.segmentation.stride needs eval.segmentation.window"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sets []string
			if c.set != "" {
				sets = []string{c.set}
			}
			if _, err := Parse("x", []byte(c.text), sets); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// METHOD §3: mmsegmentation's 40k schedule, which InfoPro follows, and that of [FZ]
// at 768².
func TestPublishedSegmentationSchedule(t *testing.T) {
	for _, depth := range []string{"50", "101"} {
		for _, size := range []string{"", "_768"} {
			for _, kind := range []string{"bp", "manpp_k2", "manpp_k4"} {
				name := "deeplabv3_r" + depth + size + "_" + kind
				c, err := Load(filepath.Join(testdata.Root(), "configs/segmentation", name+".yaml"), nil)
				if err != nil {
					t.Fatal(err)
				}
				want := []any{"resnet" + depth, "deeplabv3", "sgd", 0.9, 0.01, 0.0, 40000, "poly", 0.9, "cityscapes"}
				got := []any{c.Model.Backbone, c.Model.Segmentation.Head, c.Optim.Name, c.Optim.Momentum, c.Optim.LR, c.Optim.ClipNorm, c.Train.Steps, c.Schedule.Name, c.Schedule.Power, c.Data.Format}
				special := []any{8, 5e-4, 1e-4, 8, 512, []int{1024, 512}, []float64{0.5, 2}, 0.4, 1.5}
				if size != "" {
					special = []any{2, 1e-4, 1e-6, 16, 256, []int{768, 768}, []float64{1, 1}, 0.0, 0.5}
				}
				got = append(got, c.Train.Batch, c.Optim.WeightDecay, c.Schedule.MinLR, c.Model.Segmentation.OutputStride, c.Model.Segmentation.ASPPChannels, c.Data.Crop, c.Data.Scale, c.Model.Segmentation.AuxWeight, c.MANPP.ReconWeight)
				cuts := map[string][]any{
					"bp": {"e2e", 0, []string{}}, "manpp_k4": {"manpp", 4, []string{}},
					"manpp_k2": {"manpp", 2, map[string][]string{"50": {"layer3.2"}, "101": {"layer3.12"}}[depth]},
				}[kind]
				got = append(got, c.MANPP.Strategy, c.MANPP.Blocks, append([]string{}, c.MANPP.Cuts...))
				if d := cmp.Diff(append(append(want, special...), cuts...), got); d != "" {
					t.Errorf("%s: %s", name, d)
				}
			}
		}
	}
}

// little is the shortest recipe of classification that is right.
const little = "task: classification\nmodel: {backbone: cifar_resnet32}\ndata: {format: cifar10, val: {split: test}}\n"

func TestClassificationDefaults(t *testing.T) {
	c, err := Parse("x", []byte(little), nil)
	if err != nil {
		t.Fatal(err)
	}
	if k := c.Data.Classification; c.Model.Width != 0 || c.LocalHead() != "" || k.Pad != 4 || k.PadMode != "reflect" || !c.Data.SmallImages() {
		t.Errorf("%+v", c)
	}
	if _, err := Parse("resolved", c.Resolved(), nil); err != nil {
		t.Error(err)
	}
	for _, ok := range []string{
		"task: classification\ndata: {format: imagenet}\nmodel: {backbone: vit_ti_16}\nmanpp: {classification: {depth: 1}}",
		"task: classification\ndata: {format: folders, classification: {size: [64, 32], antialias: false}}\nmodel: {backbone: resnext50_32x4d, pretrained: x.pth}",
		"task: classification\ndata: {format: svhn, train: {split: extra}, val: {split: test}, flip: 0, classification: {pad: 2, pad_mode: black}}\nmodel: {backbone: cifar_resnet110}\nmanpp: {partition: published, blocks: 3, published: balanced, quirks: released, strategy: infopro, classification: {temperature: 0.1}}",
		little + "manpp: {partition: stages, blocks: 4, stem: true}",
	} {
		if _, err := Parse("x", []byte(ok), nil); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

func TestClassificationFaults(t *testing.T) {
	vit := strings.Replace(little, "cifar_resnet32", "vit_ti_16", 1)
	for _, c := range []struct{ name, text, set, want string }{
		{"format", "task: classification\n", "", `data.format is "coco"; task classification reads cifar10, cifar100, imagenet, folders, svhn, stl`},
		{"format of detection", "data: {format: cifar10}\n", "", `x:1: data.format is "cifar10"; task detection reads coco, shapes`},
		{"backbone of detection", "model: {backbone: vit_b_16}\n", "", `x:1: model.backbone is "vit_b_16"; task detection takes resnet18`},
		{"strategy of detection", "manpp: {strategy: dgl}\n", "", `x:1: manpp.strategy is "dgl"; task detection takes e2e, man, manpp`},
		{"partition of segmentation", city + "manpp: {partition: published}\n", "", `x:3: manpp.partition is "published"; those cuts are of classifiers`},
		{"key of detection", little, "data.short_side=300", "data.short_side has no effect with task classification"},
		{"key of classification", city, "model.classification.label_smoothing=0.1", "model.classification.label_smoothing has no effect with task segmentation"},
		{"shared key", city, "eval.batch=7", "eval.batch has no effect with task segmentation"},
		{"metric", little, "expect=[{metric: AP, min: 0.5}]", "task classification does not measure AP; it measures top1, top5"},
		{"width", little, "model.width=3", "model.width is 3; it must be at least 4, or 0"},
		{"split", little, "data.val.split=val", `data.val.split is "val"; cifar10 has train, test`},
		{"folders of cifar", little, "data.train.images=x", "data.train.images has no effect with data.format cifar10"},
		{"size of cifar", little, "data.classification.resize=64", "data.classification.resize has no effect with data.format cifar10"},
		{"coarse", little, "data.classification.coarse=true", "data.classification.coarse has no effect with data.format cifar10"},
		{"pad of imagenet", "task: classification\ndata: {format: imagenet}\nmanpp: {strategy: e2e}\n", "data.classification.pad=2", "data.classification.pad has no effect with data.format imagenet"},
		{"size", "task: classification\ndata: {format: imagenet}\n", "data.classification.size=[100, 96]", "size is [100 96]; both sides must be multiples of 32"},
		{"part", "task: classification\ndata: {format: imagenet}\n", "data.classification.part_scale=[1, 0.5]", "part_scale is [1 0.5]; the lesser comes first"},
		{"published without blocks", little, "manpp.partition=published", `partition "published" needs the papers' number of blocks`},
		{"variant", little, "manpp.published=infopro", `manpp.published has no effect with partition "stages"`},
		{"stem", little + "manpp: {partition: cuts, cuts: [layer1.0]}\n", "manpp.stem=true", `manpp.stem has no effect with partition "cuts"`},
		{"stages", little, "manpp.blocks=4", `partition "stages" gives 3 blocks`},
		{"decoder of dgl", little, "manpp.classification.recon_weights=[5, 0]", "local head dgl has no decoder"},
		{"contrast of dgl", little, "manpp.classification.contrast=true", "local head dgl has no features to contrast"},
		{"temperature", little, "manpp.classification.temperature=0.5", "temperature has no effect without manpp.classification.contrast"},
		{"depth", little + "manpp: {strategy: infopro}\n", "manpp.classification.depth=2", "depth has no effect with strategy infopro"},
		{"head of ViT", vit, "manpp.classification.head=1c2f", "local head 1c2f does not go with backbone vit_ti_16"},
		{"limit", little + "manpp: {partition: balanced}\n", "manpp.memory_limit=much", `manpp.memory_limit: "much" is no amount of memory`},
		{"limit and cuts", little, "manpp.memory_limit=1GiB", "manpp.memory_limit chooses the number of blocks"},
		{"mixup of boxes", city, "train.mixup=1", "train.mixup has no effect with task segmentation"},
		{"mixup and similarity", little + "manpp: {strategy: predsim}\n", "train.mixup=1", "mixed images have no class"},
		{"token", little, "manpp.classification.head=token", "local head token does not go with backbone cifar_resnet32"},
		{"batch of one", little, "train.batch=1", "train.batch is 1; local head dgl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sets []string
			if c.set != "" {
				sets = []string{c.set}
			}
			if _, err := Parse("x", []byte(c.text), sets); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
