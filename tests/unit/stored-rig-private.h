/*
 * stored-rig-private - what the rig's files share: stored-rig.c starts and ends stored,
 * stored-rig-chan.c has the channels, stored-rig-mail.c asks.
 */
#pragma once

#include "tests/unit/stored-rig.h"

enum { RIG_WAIT_MS = 10000 };

/* One turn of the loop, of so long at most. */
void rig_turn(struct rig *r, int ms);
/* As rig_adopt, for either end. */
struct rig_client *rig_adopt_end(struct rig *r, int take_fd, enum ipc_ch kind, bool upper);
/* As rig_wait, but NULL when the store ends the session instead of answering: an answer, too. */
const union ipc_any *rig_answer(struct rig_client *c, enum ipc_type type);
/* Status of a change, "try later" when the session ended over it. */
int rig_done(struct rig_client *c);
