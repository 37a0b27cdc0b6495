/* stored-look - what a session finds in a mailbox of the rig's stored. */
#pragma once

#include "tests/unit/stored-rig.h"

/* The whole body is this. */
void look_body(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want);
/* Its status. */
int look_body_status(struct rig_client *s, uint32_t mbox, uint32_t uid);
