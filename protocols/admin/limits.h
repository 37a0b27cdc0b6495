/* limits - what one administration connection may cost. */
#pragma once

enum {
	ADMIN_LINE_MAX = 64 << 10, /* one command with its data */
	ADMIN_WORDS_MAX = 16,
	ADMIN_PIPELINE_MAX =
	    256, /* commands under way at a time, where their order does not matter */
	ADMIN_OUT_MAX = 16 << 20, /* one reply; a listing of several hundred thousand names */
	ADMIN_MEM_MAX = 4 << 20,  /* what a command's parsed data may take */
};
