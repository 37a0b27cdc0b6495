/*
 * limits of the configuration: what a file may cost us. An administrator never meets them.
 */
#pragma once

enum {
	CONF_FILE_MAX = 256 * 1024, /* bytes of a configuration file */
	CONF_LINE_MAX = 4096,       /* bytes of one line */
	CONF_WORD_MAX = 64,         /* bytes of a key or of a section's name */
	CONF_VALUE_MAX = 2048,      /* bytes of a value */
	CONF_SECTIONS_MAX = 256,    /* listeners and certificates */
	CONF_ERRORS_MAX = 100,      /* reported before we say "and more" */
	CONF_ERRORS_BYTES = 64 * 1024,
	CONF_PACK_MAX = 1024 * 1024,
	CONF_SLICE_MAX = 32 * 1024, /* must fit a message */
};
