# Test binaries that need root run through .ci/as-root, which uses sudo unless the user is root. The go command itself
# runs as the user, so that its caches and all files here stay the user's.

GO ?= go
FUZZTIME ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# Packages that need neither eBPF nor Docker.
RACE := ./golden ./internal/check ./internal/dns ./internal/enforce/... ./internal/hostname ./internal/kubeyaml ./internal/manifest/... \
	./internal/page ./internal/placement ./internal/policy/... ./internal/rdns ./internal/recording ./internal/report \
	./internal/serve
AS_ROOT := -exec "'$(CURDIR)/.ci/as-root'"
# Nested modules, so that users of this module do not download their dependencies.
MODULES := examples/postgres examples/blackbox examples/billing examples/kafka internal/browser internal/conformance internal/conformance/statedb internal/cost internal/stress
# Nested modules that make test omits, because their first run builds a control plane.
CLUSTER := internal/cluster internal/cluster/controlplane

# Docker publishes ports at this machine, also where this is a container itself. Ryuk, which removes the containers of
# killed tests, comes from a registry.
CONTAINERS := TESTCONTAINERS_HOST_OVERRIDE=localhost TESTCONTAINERS_RYUK_DISABLED=true
# The examples run public images. Here they get those that make images builds, unless NETZERO_EXAMPLES_IMAGES=public.
EXAMPLE_IMAGES := $(if $(filter public,$(NETZERO_EXAMPLES_IMAGES)),,\
	EXAMPLE_POSTGRES_IMAGE=netzero/postgres EXAMPLE_REDIS_IMAGE=netzero/redis \
	EXAMPLE_NGINX_IMAGE=netzero/nginx EXAMPLE_KCAT_IMAGE=netzero/kcat)
AS_LEAST := -exec "'$(CURDIR)/.ci/as-least'"

# The kernel headers are in a directory of the machine's architecture, which clang -target bpf does not search.
MULTIARCH = $(shell gcc -print-multiarch)
OBJECTS := $(foreach object,record enforce requests,bpf/$(object)_bpfel.go bpf/$(object)_bpfel.o)

.PHONY: help
help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run an example: passes, fails on a new dependency, passes after accepting it (Linux, root or sudo)
	@examples/httpservice/demo.sh

.PHONY: images
images: ## build the container images of tests and examples, without a registry (Docker, Debian's packages)
	@.ci/need images
	@$(GO) run ./internal/images/cmd/makeimages -docker "$(CURDIR)/.ci/docker" \
		$(if $(MIRROR),-mirror $(MIRROR)) $(if $(filter public,$(NETZERO_EXAMPLES_IMAGES)),peer sshd)

.PHONY: images-clean
images-clean: ## remove these images, and no others
	@$(GO) run ./internal/images/cmd/makeimages -docker "$(CURDIR)/.ci/docker" -remove

.PHONY: test
test: images ## run all tests; those that cannot run fail (Linux >= 5.10, cgroup v2, Docker, root or sudo)
	@.ci/need test
	@# Containers that start all the time could be those of any other test: theirs run by themselves.
	NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -count=1 -timeout 45m $(AS_ROOT) \
		$$($(GO) list ./... | grep -v '/internal/e2e/containers$$')
	NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -count=1 -timeout 45m $(AS_ROOT) ./internal/e2e/containers
	@$(MAKE) --no-print-directory test-examples
	@echo "netzero: once more with only the capabilities that recording needs"
	NETZERO=require $(GO) test -count=1 -v $(AS_LEAST) -run '^TestRecorded$$' ./internal/environments

.PHONY: test-examples
test-examples: ## run the nested modules (examples, browser, conformance, cost, stress); NETZERO_EXAMPLES_IMAGES=public uses public images
	@.ci/need record
	@set -e; for module in $(MODULES); do \
		(set -x; cd $$module && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(EXAMPLE_IMAGES) $(GO) test -count=1 -timeout 20m $(AS_ROOT) ./...); done
	cd internal/stress && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -race -count=1 -timeout 10m $(AS_ROOT) -run '^TestAttribution' ./...

.PHONY: test-race
test-race: ## run the tests that need neither eBPF nor Docker, with the race detector
	$(GO) test -race -count=1 -timeout 30m $(RACE)

.PHONY: test-kernels
test-kernels: ## test Debian's kernels under QEMU, write docs/kernels.md; KERNELS=5.10,6.19 runs these only, MEASURE=1 what measures only
	@.ci/need kernels
	$(GO) run ./internal/kernels/cmd/testkernels \
		$(if $(KERNELS),-kernels $(KERNELS)) $(if $(ACCEL),-accel $(ACCEL)) \
		$(if $(MEASURE),-measure) $(if $(CHECK),-check) $(if $(MIRROR),-mirror $(MIRROR))

.PHONY: test-cluster
test-cluster: images ## replay recordings and broken policies in a real cluster (etcd, kube-apiserver, an enforcer)
	@.ci/need cluster
	cd internal/cluster && NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(EXAMPLE_IMAGES) \
		$(GO) test -v -count=1 -timeout 60m $(AS_ROOT) .

.PHONY: test-escapes
test-escapes: images ## run every way out of a process or container, also under other tools; write docs/escapes.md
	@.ci/need test
	NETZERO_TEST_REQUIRE=1 $(CONTAINERS) $(GO) test -count=1 -timeout 15m $(AS_ROOT) ./internal/escapes -run '^TestWaysOut' -tools
	NETZERO_TEST_REQUIRE=1 $(GO) test -count=1 $(AS_ROOT) ./internal/escapes -run '^TestDocument_Current$$' -write

.PHONY: build
build: ## compile all packages
	$(GO) build ./...

.PHONY: generate
generate: ## rebuild the eBPF objects (clang-14, llvm-14, libbpf-dev)
	@.ci/need generate
	BPF2GO_CFLAGS="-idirafter /usr/include/$(MULTIARCH)" $(GO) generate ./bpf

.PHONY: check
check: fmt vet tidy lint generated test ## the local gate; CI also runs vet-all, lint-all, test-kernels, test-cluster, test-race and the demo

.PHONY: fmt
fmt:
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -d .; exit 1; }
	@if command -v clang-format-14 >/dev/null; then clang-format-14 --dry-run -Werror bpf/*.h bpf/*.c; \
	elif [ -n "$$CI" ]; then echo "netzero: CI needs clang-format-14" >&2; exit 1; fi

# What users import.
USERS := ./netzerotest/... ./golden/...
# The dependencies of these modules are all of Cilium, or of Kubernetes: it takes minutes to compile or to analyse them.
LARGE := internal/conformance internal/cluster
SMALL := $(filter-out $(LARGE),$(MODULES))

.PHONY: vet
vet:
	GOOS=linux $(GO) vet ./...
	GOTOOLCHAIN=go$$(awk '$$1 == "go" { print $$2 }' go.mod) $(GO) build $(USERS) # the oldest Go that users may have
	GOOS=darwin $(GO) vet $(USERS)
	GOOS=windows $(GO) vet $(USERS)
	@set -e; for module in $(SMALL); do (set -x; cd $$module && $(GO) vet ./...); done

.PHONY: vet-all
vet-all: vet ## vet everything on all systems, and the large modules too
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	@set -e; for module in $(LARGE); do (set -x; cd $$module && $(GO) vet ./...); done

.PHONY: tidy
tidy:
	$(GO) mod tidy -diff
	@set -e; for module in $(MODULES) $(CLUSTER); do (set -x; cd $$module && $(GO) mod tidy -diff); done

.PHONY: generated
generated:
	@was=$$(mktemp) && sha256sum $(OBJECTS) >"$$was" && $(MAKE) --no-print-directory generate && \
	sha256sum --quiet -c "$$was" || { echo "bpf/ is out of date: run make generate and commit the result"; exit 1; }

.PHONY: lint
lint: ## run staticcheck
	$(GO) run $(STATICCHECK) ./...
	@set -e; for module in $(SMALL); do (set -x; cd $$module && $(GO) run $(STATICCHECK) ./...); done

.PHONY: lint-all
lint-all: lint ## run staticcheck in the large modules too
	@set -e; for module in $(LARGE); do (set -x; cd $$module && $(GO) run $(STATICCHECK) ./...); done

.PHONY: vulncheck
vulncheck: ## report known vulnerabilities in what users import
	$(GO) run $(GOVULNCHECK) ./golden ./netzerotest/...

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: bench
bench: images ## measure what recording costs for an hour, print it and write docs/benchmarks.md (Linux, Docker, root or sudo)
	@.ci/need test
	@$(CONTAINERS) .ci/bench >docs/benchmarks.md.new && mv docs/benchmarks.md.new docs/benchmarks.md && cat docs/benchmarks.md

.PHONY: clean
clean: ## remove the files that the other targets leave
	rm -rf bin .cache docs/benchmarks.md.new
	find . -name '*.test' -type f -delete
