package weights

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A spelling is how a family of programs names the tensors of a network. Names of
// a file and of a model are equal where their common spelling is: torchvision's for
// convolutional networks, without the body's prefix; the official MAN++ release's
// for vision transformers; manpp.<j>. for what only local training needs.

// wrappers are prefixes that programs put before the names of a whole model:
// DataParallel and DistributedDataParallel, Lightning, torch.compile, and those of
// our own checkpoints.
var wrappers = []string{"module.", "model.", "_orig_mod.", "net.", "network.", paramPrefix, bufferPrefix}

type respell struct {
	from *regexp.Regexp
	to   string
}

func respells(pairs ...string) []respell {
	var out []respell
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, respell{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return out
}

var spellings = respells(
	// Bodies: torchvision's detection and segmentation models, MAN++ for COCO.
	`^backbone\.(?:body\.)?(conv1|bn1|layer\d+|fc)\.`, `$1.`,
	// Official MAN++ (networks/retinanet.py of its COCO part).
	`^aux_det_heads\.(\d+)\.project\.0\.`, `manpp.$1.head.project.`,
	`^aux_det_heads\.(\d+)\.extra_levels\.(\d)\.1\.`, `manpp.$1.head.extra.$2.`,
	`^aux_det_heads\.(\d+)\.cls_subnet\.`, `manpp.$1.head.classification_head.`,
	`^aux_det_heads\.(\d+)\.reg_subnet\.`, `manpp.$1.head.regression_head.`,
	`^cls_subnet\.`, `head.classification_head.`,
	`^reg_subnet\.`, `head.regression_head.`,
	`(classification_head)\.out\.`, `$1.cls_logits.`,
	`(regression_head)\.out\.`, `$1.bbox_reg.`,
	`^fpn\.lateral3\.`, `backbone.fpn.inner_blocks.0.0.`,
	`^fpn\.lateral4\.`, `backbone.fpn.inner_blocks.1.0.`,
	`^fpn\.lateral5\.`, `backbone.fpn.inner_blocks.2.0.`,
	`^fpn\.smooth3\.`, `backbone.fpn.layer_blocks.0.0.`,
	`^fpn\.smooth4\.`, `backbone.fpn.layer_blocks.1.0.`,
	`^fpn\.smooth5\.`, `backbone.fpn.layer_blocks.2.0.`,
	`^fpn\.p6\.`, `backbone.fpn.extra_blocks.p6.`,
	`^fpn\.p7\.1\.`, `backbone.fpn.extra_blocks.p7.`,
	// torchvision before 0.13, and its published detection files still.
	`^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$`, `$1.0.$2`,
	// Vision transformers: timm, torchvision.
	`^cls_token$|^class_token$`, `cls`,
	`^pos_embed$|^encoder\.pos_embedding$`, `pos`,
	`^(?:patch_embed\.proj|conv_proj)\.`, `patch.proj.`,
	`^patch_embed\.norm\.`, `patch.norm.`,
	`^encoder\.layers\.encoder_layer_(\d+)\.`, `blocks.$1.`,
	`^(blocks\.\d+)\.(?:norm|ln_)([12])\.`, `$1.n$2.`,
	`^(blocks\.\d+)\.self_attention\.in_proj_(weight|bias)$`, `$1.attn.qkv.$2`,
	`^(blocks\.\d+)\.self_attention\.out_proj\.`, `$1.attn.proj.`,
	`^(blocks\.\d+\.mlp)\.(?:0|linear_1)\.`, `$1.fc1.`,
	`^(blocks\.\d+\.mlp)\.(?:3|linear_2)\.`, `$1.fc2.`,
	`^encoder\.ln\.`, `norm.`,
	`^heads\.(?:head|0)\.(weight|bias)$`, `head.$1`,
)

var (
	// headConv is a subnet's convolution where ReLU layers are counted too.
	headConv = regexp.MustCompile(`((?:classification|regression)_head\.conv)\.(\d+)\.(weight|bias)$`)
	// localUnit is one of the clones of MAN and MAN++.
	localUnit = regexp.MustCompile(`^(?:backbone\.)?(LB|EMA_Net|ema_s)(?:_first|\.(\d+))(\..+)?$`)
	emaFirst  = regexp.MustCompile(`^(?:backbone\.)?EMA_first\.`)
)

// speller translates the names of one file or model.
type speller struct {
	stemModule bool // the stem has clones of its own (MAN++ for CIFAR): the others count from 1
	secondFC   bool // fc64 is the classifier and fc is not used (the same)
	linear     bool // linear is the classifier (CIFAR ResNets)
}

func newSpeller(tensors []Tensor) speller {
	var s speller
	fc := false
	for _, t := range tensors {
		n := unwrap(t.Name)
		s.stemModule = s.stemModule || strings.HasPrefix(n, "LB_first.")
		s.secondFC = s.secondFC || strings.HasPrefix(n, "fc64.")
		s.linear = s.linear || strings.HasPrefix(n, "linear.")
		fc = fc || strings.HasPrefix(n, "fc.")
	}
	s.linear = s.linear && !fc
	return s
}

func unwrap(name string) string {
	for again := true; again; {
		again = false
		for _, w := range wrappers {
			if rest, ok := strings.CutPrefix(name, w); ok && rest != "" {
				name, again = rest, true
			}
		}
	}
	return name
}

// common returns the common spelling; "" where the tensor stands for none.
func (s speller) common(name string) string {
	name = unwrap(name)
	name = emaFirst.ReplaceAllString(name, "EMA_Net_first.")
	if m := localUnit.FindStringSubmatch(name); m != nil {
		j := 0
		if m[2] != "" {
			j, _ = strconv.Atoi(m[2])
			if s.stemModule {
				j++
			}
		}
		part := map[string]string{"LB": "lb", "EMA_Net": "ema", "ema_s": "s"}[m[1]]
		return fmt.Sprintf("manpp.%d.%s%s", j, part, m[3])
	}
	for _, r := range spellings {
		name = r.from.ReplaceAllString(name, r.to)
	}
	if m := headConv.FindStringSubmatchIndex(name); m != nil {
		if i, err := strconv.Atoi(name[m[4]:m[5]]); err == nil && i%2 == 0 {
			name = fmt.Sprintf("%s.%d.0.%s", name[:m[3]], i/2, name[m[6]:m[7]])
		}
	}
	switch part, rest, _ := strings.Cut(name, "."); {
	case s.secondFC && part == "fc64", s.linear && part == "linear":
		return "fc." + rest
	case s.secondFC && part == "fc":
		return ""
	}
	return name
}

// idleKinds are the tensors that no network wants for inference or to start from, by
// their names without wrappers and "backbone.": counters, second names that MAN and
// MAN++ give to the units of their blocks, and what only local training needs.
var idleKinds = []struct {
	name *regexp.Regexp
	kind string
}{
	{regexp.MustCompile(`\.num_batches_tracked$`), "counters of batch norm"},
	{regexp.MustCompile(`^Encoder_Net\.`), "second names of units (Encoder_Net)"},
	{regexp.MustCompile(`^(LB\.|LB_first\.|aux_lb\.|aux_clf\.\d+\.lb_block\.)`), "of learnable clones (LB)"},
	{regexp.MustCompile(`^(EMA_Net\.|EMA_first\.|aux_ema\.|aux_clf\.\d+\.ema_block\.)`), "of averaged clones (EMA)"},
	{regexp.MustCompile(`^(ema_s(\.\d+|_first)$|aux_clf\.\d+\.s$)`), "scales of clones (s)"},
	{regexp.MustCompile(`^(aux_classifier_\d+_\d+|aux\d+_\d+|aux_det_heads|aux_clf\.\d+\.(norm|head))\.`), "of local heads"},
	{regexp.MustCompile(`^decoder(_\d+_|\d+_)\d+\.`), "of local heads' decoders"},
	{regexp.MustCompile(`^manpp\.`), "of local training (manpp)"},
}

// idle says what a stored tensor is that a network need not want; "" where it is not
// known.
func (s speller) idle(name string) string {
	if strings.HasPrefix(name, optimPrefix) {
		return "states of the optimizer"
	}
	n := unwrap(name)
	if s.secondFC && strings.HasPrefix(n, "fc.") {
		return "of a classifier without use (fc beside fc64)"
	}
	n = strings.TrimPrefix(n, "backbone.")
	for _, k := range idleKinds {
		if k.name.MatchString(n) {
			return k.kind
		}
	}
	return ""
}

// family names the program that a file's names are from.
func family(names []Tensor) string {
	has := map[string]bool{}
	for _, t := range names {
		n := unwrap(t.Name)
		parts := strings.SplitN(n, ".", 4)
		for i := range parts {
			has[strings.Join(parts[:i+1], ".")] = true
		}
	}
	release := ""
	switch {
	case has["LB_first"] || has["ema_s"] || has["backbone.ema_s"] || has["aux_lb"] || has["aux_det_heads"]:
		release = "official MAN++ "
	case has["LB"] && has["EMA_Net"]:
		release = "official MAN "
	}
	switch {
	case has["fpn.lateral3"] && has["cls_subnet"]:
		return release + "RetinaNet"
	case has["head.classification_head"] && has["backbone.fpn"]:
		return "torchvision RetinaNet"
	case has["backbone.layer1"] && has["classifier"]:
		return "torchvision DeepLabV3 or FCN"
	case has["class_token"] && has["encoder.layers"]:
		return "torchvision ViT"
	case has["cls_token"] && has["blocks"]:
		return "timm ViT"
	case has["cls"] && has["pos"] && has["blocks"]:
		return "official MAN++ ViT"
	case has["conv1"] && has["layer3"] && !has["layer4"]:
		return release + "CIFAR ResNet"
	case has["conv1"] && has["layer4"]:
		if release == "" {
			release = "torchvision "
		}
		return release + "ResNet"
	}
	return ""
}
