/* limits - what routerd accepts at most. A row is a promise of bounded work. */
#pragma once

enum {
	NAME_MAX_BYTES = 128,       /* name of an object inside a domain */
	DOMAIN_MAX_BYTES = 255,     /* RFC 1035 section 2.3.4 */
	LABEL_MAX_BYTES = 63,
	ADDRESS_MAX_BYTES = 1024,   /* any address, before and between rewrites */
	ROUTE_STEPS_MAX = 30,       /* rewrites of one address before it counts as a loop */
	TABLE_BYTES_MAX = 10 << 20, /* the Router table as text */
	TABLE_RECORDS_MAX = 100000,
	TABLE_STEP_LINES = 1000,  /* compiled at a time, before others are served */
	TABLE_LINE_MAX = 2200,    /* two addresses and their prefixes */
	TABLE_MEM_MAX = 96 << 20, /* of a compiled table */
	DOMAIN_IPS_MAX = 200,
	ALIASES_PER_OBJECT_MAX = 200,
	GROUP_MEMBERS_MAX = 1000,  /* of one group, as they are written down */
	GROUP_ACCOUNTS_MAX = 1000, /* accounts behind one group, for one message */
	GROUP_NESTED_MAX = 100,    /* groups behind one group */
	GROUP_FOLLOWED_MAX = 4000, /* members looked at for one message */
	PAGE_OBJECTS_MAX = 10000,  /* of one page of a listing in pages */
	ALERTS_MAX = 20,           /* of the server, a domain, an account */
	ALERT_TEXT_MAX = 500,
	FIGURES_MAX = 64, /* of the operator's own */
	FIGURE_NAME_MAX = 47,
	TRACE_BYTES_MAX = 8192,
	ACCOUNT_RESUME_MS = 5000, /* what a server could not do for an account is asked again */
	RCPT_CONNS_MAX = 40000,  /* connections that deliver mail at a time */
	RCPT_TARGETS_MAX = 4096, /* accounts that one of them may have registered */
	PROVISIONS_MAX = 1000,   /* recipients that wait for their account to be made */
	RCPT_WAITING_MAX = 4096, /* and recipients of it that wait for stored */
	BOUNCE_SLOTS = 1024,     /* accounts whose reports of failure are counted apart */
	BOUNCES_PER_MINUTE = 20, /* reports of failure to one account */
	BOUNCES_ALL_PER_MINUTE = 2000,
};
