# What people type. Meson and ninja do the work; see docs/testing.md for what each target shows.
BUILD := build

.PHONY: all run test check install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) > /dev/null

clean:
	@rm -rf $(BUILD) build-*
