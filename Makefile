# What people type. Meson and ninja do the work.
BUILD := build

.PHONY: all run test test-clients bare storms storms-tsan check install format clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/configure.sh $(BUILD)

# Installs packages, builds the program, fetches the small model and serves the chat page.
run:
	@scripts/install-packages.sh build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) smollm
	@scripts/run.sh $(ARGS)

# Installs what tests need and runs all of them; the last line is "N passed, N failed".
test:
	@scripts/install-packages.sh build test
	@tests/run.py

# The libraries and agents that people use, against the server: their packages are heavy.
test-clients:
	@scripts/install-packages.sh build test
	@tests/clients/run.py

# `make run` up to its first answer in a minimal Debian 12, in a root that is made for it and removed; needs root.
bare:
	@scripts/install-packages.sh bare
	@tests/bare/bare_root.sh tests/bare/first_answer.sh

# Many clients at once that disconnect, read slowly, overload the server or meet a shutdown: about ten minutes.
storms: all
	@tests/run.py --only storms

# The same, small, and passes of many threads, under ThreadSanitizer.
storms-tsan:
	@tests/run.py --only tsan-storms

# Format, static analysis, layers, warnings as errors in gcc and clang, and that the built page is up to date.
check:
	@scripts/install-packages.sh build test check
	@scripts/check.sh

install: all
	@meson install -C $(BUILD)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) build-*
