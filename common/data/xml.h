/*
 * xml - where one XML element ends. Names and entities are not looked at; nothing is expanded.
 * Linear: every byte is passed once, and a piece without an end is an error at once.
 */
#pragma once

#include "common/base/slice.h"

/* Bytes of the element at the start of `s`, with comments and declarations before it; 0: malformed,
 * or its end is missing. A document type is refused. */
size_t xml_length(struct slice s);
