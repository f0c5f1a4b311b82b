# What needs root runs as root through .ci/as-root: as it is for root, by sudo for everybody else. Only test binaries
# do; go itself, and so its caches and all files here, stay the user's.

GO ?= go
FUZZTIME ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
AS_ROOT := -exec "'$(CURDIR)/.ci/as-root'"
# Modules of their own, so that nobody who imports this one pays for what they need.
MODULES := examples/postgres examples/blackbox internal/conformance internal/conformance/statedb internal/stress
# Those that make test leaves out, because the first run builds a control plane.
CLUSTER := internal/cluster internal/cluster/controlplane

# Docker publishes ports at this machine, also where this is a container itself; and Ryuk, which removes containers that a
# killed test leaves, comes from a registry.
CONTAINERS := TESTCONTAINERS_HOST_OVERRIDE=localhost TESTCONTAINERS_RYUK_DISABLED=true
# The examples run public images. Here they get those that make images builds, unless NETZERO_EXAMPLES_IMAGES=public.
EXAMPLE_IMAGES := $(if $(filter public,$(NETZERO_EXAMPLES_IMAGES)),,EXAMPLE_POSTGRES_IMAGE=netzero/postgres EXAMPLE_REDIS_IMAGE=netzero/redis)
AS_LEAST := -exec "'$(CURDIR)/.ci/as-least'"

# The kernel's headers lie in a directory of the machine's architecture, where clang -target bpf does not look.
MULTIARCH = $(shell gcc -print-multiarch)
OBJECTS := bpf/record_bpfel.go bpf/record_bpfel.o

.PHONY: help
help: ## say what there is (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show the main job: green, red on a new dependency, accepted, green (Linux, root or sudo)
	@examples/httpservice/demo.sh

.PHONY: images
images: ## build the container images of tests and examples, without a registry (Docker, Debian's packages)
	@.ci/need images
	@$(GO) run ./internal/images/cmd/makeimages -docker "$(CURDIR)/.ci/docker" $(if $(MIRROR),-mirror $(MIRROR)) $(if $(filter public,$(NETZERO_EXAMPLES_IMAGES)),peer sshd)

.PHONY: images-clean
images-clean: ## remove these images, and no others
	@$(GO) run ./internal/images/cmd/makeimages -docker "$(CURDIR)/.ci/docker" -remove

.PHONY: test
test: images ## run all tests; those that cannot run fail (Linux >= 5.10, cgroup v2, Docker, root or sudo)
	@.ci/need test
	NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -count=1 -timeout 30m $(AS_ROOT) ./...
	@$(MAKE) --no-print-directory test-examples
	@echo "netzero: once more with no capability but those that recording needs"
	NETZERO=require $(GO) test -count=1 -v $(AS_LEAST) -run '^TestRecorded$$' ./internal/environments

.PHONY: test-examples
test-examples: ## run the examples that need containers; NETZERO_EXAMPLES_IMAGES=public runs them on the public images
	@.ci/need record
	@set -e; for module in $(MODULES); do \
		(set -x; cd $$module && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(EXAMPLE_IMAGES) $(GO) test -count=1 -timeout 20m $(AS_ROOT) ./...); done
	cd internal/stress && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -race -count=1 -timeout 10m $(AS_ROOT) -run '^TestEveryFlow' ./...

.PHONY: test-kernels
test-kernels: ## run the kernel tests on Debian's kernels under QEMU, write docs/kernels.md; KERNELS=5.10,6.19 runs these only
	@.ci/need kernels
	$(GO) run ./internal/kernels/cmd/testkernels $(if $(KERNELS),-kernels $(KERNELS)) $(if $(CHECK),-check) $(if $(MIRROR),-mirror $(MIRROR))

.PHONY: test-cluster
test-cluster: images ## replay recordings in a real cluster (etcd, kube-apiserver, an enforcer), and try broken policies
	@.ci/need cluster
	cd internal/cluster && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(EXAMPLE_IMAGES) $(GO) test -v -count=1 -timeout 60m $(AS_ROOT) .

.PHONY: test-escapes
test-escapes: images ## run every way out of a process or container, also for strace, tcpdump and bpftrace; write docs/escapes.md
	@.ci/need test
	NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -count=1 -timeout 10m $(AS_ROOT) ./internal/escapes -run '^Test(WaysOut|Containers|Tools)$$' -tools
	NETZERO_TEST_REQUIRE=1 $(GO) test -count=1 $(AS_ROOT) ./internal/escapes -run '^TestDocumentIsCurrent$$' -write

.PHONY: build
build: ## compile all packages
	$(GO) build ./...

.PHONY: generate
generate: ## rebuild the eBPF objects (clang-14, llvm-14, libbpf-dev)
	@.ci/need generate
	BPF2GO_CFLAGS="-idirafter /usr/include/$(MULTIARCH)" $(GO) generate ./bpf

.PHONY: check
check: fmt vet tidy lint generated test ## what CI checks on its own kernel; it runs test-kernels too

.PHONY: fmt
fmt:
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -d .; exit 1; }
	@! command -v clang-format-14 >/dev/null || clang-format-14 --dry-run -Werror bpf/*.h bpf/*.c

.PHONY: vet
vet:
	GOOS=linux $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	@set -e; for module in $(MODULES) internal/cluster; do (set -x; cd $$module && $(GO) vet ./...); done

.PHONY: tidy
tidy:
	$(GO) mod tidy -diff
	@set -e; for module in $(MODULES) $(CLUSTER); do (set -x; cd $$module && $(GO) mod tidy -diff); done

.PHONY: generated
generated:
	@was=$$(mktemp) && sha256sum $(OBJECTS) >"$$was" && $(MAKE) --no-print-directory generate && \
	sha256sum --quiet -c "$$was" || { echo "commit what make generate has made of bpf/"; exit 1; }

.PHONY: lint
lint: ## staticcheck, in all modules
	$(GO) run $(STATICCHECK) ./...
	@set -e; for module in $(MODULES) internal/cluster; do (set -x; cd $$module && $(GO) run $(STATICCHECK) ./...); done

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: bench
bench: ## measure what recording costs, print it and write docs/benchmarks.md (Linux, root or sudo)
	@.ci/need record
	@.ci/bench >docs/benchmarks.md.new && mv docs/benchmarks.md.new docs/benchmarks.md && cat docs/benchmarks.md

.PHONY: clean
clean: ## remove what the targets above leave
	rm -rf bin .cache docs/benchmarks.md.new
	find . -name '*.test' -type f -delete
