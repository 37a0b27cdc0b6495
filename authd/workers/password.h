/*
 * password - how a password is stored and checked. Pure but for time: a check of a good hash is
 * meant to be slow, so it is done in a process of its own.
 *
 * Stored form: {PLAIN}the password itself | {CRYPT}crypt(3) text (yescrypt, sha512crypt, bcrypt...)
 * | {SCRAM-SHA-256}iterations:salt$StoredKey:ServerKey, the three in base64 (RFC 5803).
 */
#pragma once

#include "common/base/buf.h"

enum {
	PASSWORD_MAX_BYTES = 1024,
	STORED_MAX_BYTES = 4096,
	TAGGED_MAX_BYTES = 12288, /* all tagged ones of an account, with their tags */
	PASSWORD_TAG_BYTES = 32,
	SCRAM_KEY_BYTES = 32,
	SCRAM_ITERATIONS = 4096, /* RFC 7677 section 4: at least */
	SCRAM_ITERATIONS_MAX = 10000000,
};

enum password_result {
	PASSWORD_OK,
	PASSWORD_WRONG,
	PASSWORD_UNUSABLE, /* the stored form makes no sense, or cannot do what is asked */
};

/* The form and what follows it; false for an unknown one. */
enum stored_form { STORED_PLAIN, STORED_CRYPT, STORED_SCRAM };
bool stored_split(struct slice stored, enum stored_form *ret_form, struct slice *ret_value);

/* Keys of the SCRAM form; the salt stays base64. False when malformed. */
struct scram_keys {
	unsigned iterations;
	struct slice salt, stored, server; /* base64, parts of what was split */
};
bool scram_split(struct slice value, struct scram_keys *ret);

/* Does `password` fit? Takes as long as the hash takes. */
enum password_result password_verify(struct slice stored, struct slice password);

/* As long as a check would take, for a name that does not exist. Always PASSWORD_WRONG. */
enum password_result password_verify_nobody(struct slice password);

/*
 * Appends the stored form of `password` made by `scheme`: "plain", "yescrypt", "sha512crypt",
 * "bcrypt", "scram-sha-256". PASSWORD_UNUSABLE for another scheme or a password that it cannot take
 * (NUL inside; bcrypt: over 72 bytes).
 */
enum password_result password_store(struct slice scheme, struct slice password, struct buf *out);
