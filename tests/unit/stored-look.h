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
