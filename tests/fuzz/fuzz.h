/* The entry that libFuzzer and replay.c call: any bytes, always returns 0, aborts on a defect. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
