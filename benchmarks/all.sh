#!/bin/sh
# Times everything of BENCHMARKS.md's table of targets in turn with its peers, as far as
# they are installed, and prints the table's rows: 'make bench'. The machine must be
# otherwise idle. Takes 33 minutes with all peers and ROUNDS=2. The environment says where they are:
#
#   PEERS       interpreters with torch and torchvision: Debian's, and one of a virtual
#               environment with the newest of PyPI; the better of a round counts
#   EVALUATORS  interpreter with pycocotools==2.0.11, faster-coco-eval==1.8.0 and
#               cityscapesscripts==2.3.0
#   RELEASE, RELEASE_E2E, RELEASE_CIFAR, RELEASE_CIFAR110
#               commands that time steps of the official release and print {"times":
#               [seconds, ...], "resident_bytes": n}: RetinaNet R50 2x608x800 with K=4 and
#               end to end, CIFAR ResNet-32 K=16 and ResNet-110 K=55 with batch 128; the
#               word PYTHON in them stands for each of PEERS
#   COCO, MIOU  folders of JPEG files, and of CityScapes label maps with predictions
#   ROUNDS      of each pair (3)
#   BENCH       the file for 'bin/bench compare' (runs/bench.json)
set -eu
cd "$(dirname "$0")/.."
: "${PEERS:=/usr/bin/python3}" "${EVALUATORS:=python3}" "${COCO:=../shared/data/coco/train2017}" "${MIOU:=../shared/data/miou-oracle}"
: "${RELEASE:=}" "${RELEASE_E2E:=}" "${RELEASE_CIFAR:=}" "${RELEASE_CIFAR110:=}" "${ROUNDS:=3}" "${BENCH:=runs/bench.json}"
threads=${OMP_NUM_THREADS:-$(nproc)}
commit=$(git describe --always --dirty=+ 2>/dev/null || true)
work=runs/bench
mkdir -p "$work/coco" "$(dirname "$BENCH")"
rm -f "$BENCH"

missing() { echo "peer left out: $*" >&2; }
torches=
for python in $PEERS; do
	if "$python" -c 'import torch, torchvision' 2>/dev/null; then torches="$torches,$python"; else missing "$python has no torch and torchvision"; fi
done
torches=${torches#,}
has() { "$EVALUATORS" -c "import $1" 2>/dev/null || { missing "$EVALUATORS has no $1"; return 1; }; }
test -n "$RELEASE$RELEASE_E2E$RELEASE_CIFAR$RELEASE_CIFAR110" || missing "the official release: none of RELEASE… is set"

# pair NAME TARGET OURS PEER PEERKEY [flags]
pair() {
	name=$1 target=$2 ours=$3 peer=$4 key=$5
	shift 5
	bin/bench pair --record "$BENCH" --commit "$commit" --rounds "$ROUNDS" --name "$name" --target "$target" \
		--ours "$ours" --python "$torches" --peer "$peer" --peer-key "$key" "$@"
}
# timed COMMAND: one that prints the seconds COMMAND takes
timed() { printf '%s' 's=$(date +%s%N); ' "$1" ' >/dev/null && echo "$s $(date +%s%N)" | awk '\''{ printf "{\"seconds\": %.4f}", ($2 - $1) / 1e9 }'\'; }

echo '| work | ours | peer | ratio (min–max) | target |'
echo '|---|---|---|---|---|'
p="PYTHON benchmarks"
step="$p/resnet50_step.py --threads $threads --layouts nhwc --flush-denormals"
pair 'ResNet-50 step, batch 8, 224², s' 0.65 'bin/bench resnet50 --steps 7' "$step" nhwc
pair 'ResNet-50 step in bf16, s' 0.60 'bin/bench resnet50 --steps 7 --precision bf16' "$step --precision bf16" nhwc
pair 'RetinaNet R50 K=4 step, 2x608x800, against K=4, s' 0.55 'bin/bench retinanet --steps 3' "$RELEASE" times
pair 'RetinaNet R50 K=4 step in bf16, against K=4, s' 0.40 'bin/bench retinanet --steps 3 --precision bf16' "$RELEASE" times
pair 'RetinaNet R50 K=4 step, against end to end, s' 0.75 'bin/bench retinanet --steps 3' "$RELEASE_E2E" times
pair 'RetinaNet R50 K=4 step in bf16, against end to end, s' 0.55 'bin/bench retinanet --steps 3 --precision bf16' "$RELEASE_E2E" times
pair 'RetinaNet R50 K=4 resident memory, against end to end, bytes' 0.40 'bin/bench retinanet --steps 2' "$RELEASE_E2E" resident_bytes --ours-key resident_peak --rounds 1
pair 'RetinaNet R50 K=4 resident memory in bf16, clip by block, convolutions recomputed, bytes' 0.25 \
	'bin/bench retinanet --steps 2 --precision bf16 --clip-blocks --recompute-convs' "$RELEASE_E2E" resident_bytes --ours-key resident_peak --rounds 1
pair 'RetinaNet R50 end to end step, s' 0 'bin/bench retinanet --e2e --steps 3' "$RELEASE_E2E" times --rounds 1
pair 'CIFAR ResNet-32 K=16 step, batch 128, s' 0.30 'bin/bench cifar --steps 8' "$RELEASE_CIFAR" times
pair 'CIFAR ResNet-110 K=55 step, batch 128, s' 0.30 'bin/bench cifar --depth 110 --blocks 55 --steps 3' "$RELEASE_CIFAR110" times --rounds 1
pair 'ViT-Tiny K=4 step, batch 8, s' 0 'bin/bench vit' '' times
deeplab="$p/deeplab_peer.py --threads $threads --steps 2 --layouts nhwc"
pair 'DeepLabV3 R50 step, 2x512², s' 0.76 'bin/bench deeplab --steps 3' "$deeplab" nhwc
pair 'DeepLabV3 R50 step in bf16, against float32, s' 0.45 'bin/bench deeplab --steps 3 --precision bf16' "$deeplab" nhwc --rounds 1
for batch in 1 32; do
	steps=$((batch == 1 ? 50 : 5))
	pair "ResNet-50 inference, batch $batch, s" 0.60 "bin/bench infer --batch $batch --steps $steps" \
		"$p/resnet50_infer.py --threads $threads --batch $batch --steps $steps --ways eager,script" float32
done
if test -d "$COCO"; then
	rm -rf "$work/images"
	mkdir "$work/images"
	find "$COCO" -name '*.jpg' | sort | head -n 8 | while IFS= read -r f; do cp "$f" "$work/images"; done
	test -z "$torches" || "${torches%%,*}" benchmarks/retinanet_infer.py --save "$work/retinanet.pth" >/dev/null
	test ! -e "$work/retinanet.pth" || pair 'RetinaNet R50 inference, file to boxes, short side 800, s an image' 0.65 \
		"bin/bench detect $work/images --checkpoint $work/retinanet.pth" "$p/retinanet_infer.py $work/images --checkpoint $work/retinanet.pth --threads $threads --layouts nhwc --steps 3" nhwc
	for workers in 1 4; do
		pair "loading COCO images, $workers workers, images/s" 3 "bin/bench load $COCO --workers $workers" \
			"$p/load_peer.py $COCO --workers $workers --path pil" runs --more --ours-key images_per_second
	done
fi
bin/bench coco-eval "$work/coco" >/dev/null
coco="$EVALUATORS benchmarks/coco_eval_peer.py --gt $work/coco/instances.json --dt $work/coco/results.json"
if has pycocotools; then pair 'COCO evaluation, 500,000 boxes, against pycocotools, s' 0.025 "bin/bench coco-eval $work/coco --runs 3" "$coco" seconds --rounds 1; fi
if has faster_coco_eval; then pair 'COCO evaluation, 500,000 boxes, against faster-coco-eval, s' 0.33 "bin/bench coco-eval $work/coco --runs 3" "$coco --peer faster" seconds; fi
if test -d "$MIOU" && has cityscapesscripts; then
	city="taskset -c 0 $EVALUATORS benchmarks/cityscapes_eval_peer.py --images $MIOU --data $work/cityscapes --copies 25"
	$city >/dev/null
	pair 'CityScapes scores, 50 images of 1024x2048, one core, s' 0.125 "$(timed "taskset -c 0 bin/eval cityscapes --gt $work/cityscapes/gt --pred $work/cityscapes/pred --workers 1")" "$city" seconds
fi
for command in train eval predict data bench export report doctor; do
	pair "bin/$command --help, s" 0.25 "$(timed "bin/$command --help")" '' times
done
