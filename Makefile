# make demo    set up, build, train the small detector, evaluate it, draw
# make demo-segmentation   the same with the small segmentation network
# make test    set up, vet, run all tests
# make bench   time this project, and its peers where they are installed
#
# demo and test need nothing done before them on Debian or Ubuntu with Go, make and
# a C compiler.

GO       ?= go
RECIPE   ?= configs/detection/demo-shapes.yaml
SEGMENT  ?= configs/segmentation/demo-shapes.yaml
DEMO     := runs/demo
DEMOSEG  := runs/demo-segmentation
PACKAGES := libopencv-dev libopencv-contrib-dev libdnnl-dev libjpeg-dev libdeflate-dev

.DEFAULT_GOAL := build
.PHONY: setup build test demo demo-segmentation picture docs bench lint clean

# Installs the Debian/Ubuntu packages that are missing; nothing when none is.
setup:
	@missing=""; \
	if command -v dpkg-query >/dev/null; then \
		for p in $(PACKAGES); do \
			dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; \
		done; \
	else \
		pkg-config --exists opencv4 2>/dev/null || missing="$$missing OpenCV-4.6-with-contrib"; \
		test -e /usr/include/dnnl.h -o -e /usr/include/oneapi/dnnl/dnnl.h || missing="$$missing oneDNN-2.6"; \
		test -e /usr/include/jpeglib.h || missing="$$missing libjpeg-turbo"; \
		test -e /usr/include/libdeflate.h || missing="$$missing libdeflate"; \
	fi; \
	command -v pkg-config >/dev/null || missing="$$missing pkg-config"; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	test -z "$$missing" && exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "setup: missing:$$missing; apt-get is not here: install them with the system's own tools"; exit 1; \
	fi; \
	sudo=""; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { echo "setup: missing:$$missing; run as root: apt-get install$$missing"; exit 1; }; \
		sudo="sudo"; \
	fi; \
	echo "setup: installing$$missing with $${sudo:+sudo }apt-get"; \
	$$sudo apt-get update -q && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

build: setup
	@mkdir -p bin
	$(GO) build -o bin/ ./tools/...

# Packages are tested side by side: idle threads must give way soon (device/cpu).
test: setup
	$(GO) vet ./...
	GOMP_SPINCOUNT=5000 $(GO) test -timeout 25m ./...

# Replaces what the last demo left in runs/demo. A missed expectation fails, but
# after the picture has been drawn.
demo: build
	@rm -rf $(DEMO)
	@bin/train --config $(RECIPE) --output $(DEMO); status=$$?; \
	model=$(DEMO)/checkpoints/best.safetensors; data=runs/shapes; \
	test -e $$model || exit $$status; \
	echo; echo "== bin/eval: the held-out images"; \
	bin/eval --config $(RECIPE) --checkpoint $$model --per-class --json $(DEMO)/metrics.json || exit 1; \
	echo; echo "== bin/predict: what it finds on them"; \
	bin/predict --checkpoint $$model --input $$data/val --gt $$data/annotations/instances_val.json \
		--score 0.4 --out $(DEMO)/pictures --json $(DEMO)/detections.json || exit 1; \
	echo; echo "picture: $(DEMO)/pictures/sheet.png    curves: $(DEMO)/loss.png    numbers: $(DEMO)/metrics.json"; \
	exit $$status

# As demo.
demo-segmentation: build
	@rm -rf $(DEMOSEG)
	@bin/train --config $(SEGMENT) --output $(DEMOSEG); status=$$?; \
	model=$(DEMOSEG)/checkpoints/best.safetensors; data=runs/shapes-labels; \
	test -e $$model || exit $$status; \
	echo; echo "== bin/eval: the held-out images"; \
	bin/eval --config $(SEGMENT) --checkpoint $$model --per-class --json $(DEMOSEG)/metrics.json || exit 1; \
	echo; echo "== bin/predict: what it finds on them"; \
	bin/predict --checkpoint $$model --input $$data/val --gt $$data/labels/val \
		--out $(DEMOSEG)/pictures --json $(DEMOSEG)/classes.json || exit 1; \
	echo; echo "picture: $(DEMOSEG)/pictures/sheet.png    curves: $(DEMOSEG)/loss.png    numbers: $(DEMOSEG)/metrics.json"; \
	exit $$status

# Renews the README's pictures from what the last demos left.
picture:
	@mkdir -p docs
	bin/predict --checkpoint $(DEMO)/checkpoints/best.safetensors --input 'runs/shapes/val/0000[01][46].jpg' \
		--gt runs/shapes/annotations/instances_val.json --score 0.4 --out $(DEMO)/readme
	cp $(DEMO)/readme/sheet.png docs/demo.png
	bin/predict --checkpoint $(DEMOSEG)/checkpoints/best.safetensors --input 'runs/shapes-labels/val/00000[1238].jpg' \
		--gt runs/shapes-labels/labels/val --out $(DEMOSEG)/readme
	cp $(DEMOSEG)/readme/sheet.png docs/demo-segmentation.png

# Writes docs/commands and MODEL_ZOO.md anew: from --help, and from the records in docs/zoo.
docs: build
	$(GO) run ./internal/docpages/gen
	bin/report zoo

# Each timing in turn with its peers', as far as they are installed; benchmarks/all.sh says
# which and where they are looked for. The machine must be otherwise idle. All figures also
# go to the file BENCH, for 'bin/bench compare OLD.json NEW.json'. BENCHMARKS.md explains.
BENCH := runs/bench.json
bench: build
	@BENCH=$(BENCH) benchmarks/all.sh
	@$(GO) test -run '^$$' -bench . -benchtime 0.2s -count 3 -timeout 60m ./exec ./device/cpu > runs/gobench.txt || { cat runs/gobench.txt; exit 1; }
	@bin/bench gobench --record $(BENCH) < runs/gobench.txt
	@echo; echo "figures: $(BENCH)"

lint: setup
	@unformatted=$$(gofmt -l .); \
	test -z "$$unformatted" || { echo "gofmt -w needed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/lint

clean:
	rm -rf bin
