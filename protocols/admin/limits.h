/* limits - what one administration connection may cost. */
#pragma once

enum {
	/* One command with its data; less than FRONT_IN_MAX, which holds what has no end yet. */
	ADMIN_LINE_MAX = 60 << 10,
	ADMIN_WORDS_MAX = 16,
	ADMIN_PIPELINE_MAX =
	    256, /* commands under way at a time, where their order does not matter */
	ADMIN_OUT_MAX = 16 << 20, /* one reply; a listing of several hundred thousand names */
	ADMIN_MEM_MAX = 4 << 20,  /* what a command's parsed data may take */
};
