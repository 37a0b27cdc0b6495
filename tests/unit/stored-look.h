/* stored-look - what a session puts into mailboxes of the rig's stored, and finds there. */
#pragma once

#include "tests/unit/stored-rig.h"

/* The whole body is this. */
void look_body(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want);
/* Its status. */
int look_body_status(struct rig_client *s, uint32_t mbox, uint32_t uid);

struct piece {
	uint32_t flags;
	const char *keywords;
	int64_t date;
	struct slice body, facts, header;
};

/* All in one append. */
struct ipc_append_done put_pieces(
    struct rig_client *s, const char *name, const struct piece *p, size_t n);
void put_mailbox(struct rig_client *s, const char *name);

/* Reads the mailbox's rows, 20000 at most: how many there are; their fields, as the schema has
 * them. */
size_t look_scan(struct rig_client *s, uint32_t mbox);
uint32_t look_u32(size_t row, unsigned at);
uint64_t look_u64(size_t row, unsigned at);
