/*
 * settings - the table of settings.def in code: names, types, and values from text and back. Pure.
 *
 * A value has two forms. Text is the admin data format, always written the same way for the same
 * value
 * ("canonical"). Packed is what a program looks at: a number of 8 bytes, a flow of 16, a string's
 * bytes, a list's items with their lengths. Packed bytes are never kept on disk.
 *
 * Invariant: whatever setting_parse() lets through, setting_put() writes so that it parses to the
 * same.
 */
#pragma once

#include "common/base/buf.h"

/* Services, in the order of their bits; names of doors that are not built yet are data. */
#define SETTING_SERVICES                                                             \
	"Mail|Relay|Signal|Mobile|TLS|POP|IMAP|MAPI|AirSync|SIP|XMPP|WebMail|XIMSS|" \
	"FTP|ACAP|PWD|LDAP|RADIUS|S/MIME|WebCAL|WebSite|PBX|HTTP"

enum setting_service {
	SERVICE_MAIL = 1 << 0,
	SERVICE_RELAY = 1 << 1,
	SERVICE_MOBILE = 1 << 3,
	SERVICE_TLS = 1 << 4,
	SERVICE_POP = 1 << 5,
	SERVICE_IMAP = 1 << 6,
	SERVICE_PWD = 1 << 15,
};

enum setting {
#define SETTING(name, level, type, limits, def, right, sentence) SETTING_##name,
#include "common/settings/settings.def"
	SETTINGS
};

/* Numbers of the choices of MailToUnknown and SignalToUnknown, and of AccessToUnknown. */
enum { UNKNOWN_REJECTED, UNKNOWN_DISCARDED, UNKNOWN_REROUTED, UNKNOWN_BOUNCED };
enum { ACCESS_UNKNOWN_REJECTED, ACCESS_UNKNOWN_REROUTED };

enum setting_level { LEVEL_SERVER, LEVEL_DOMAIN, LEVEL_ACCOUNT, LEVEL_TEMPLATE };

enum setting_type {
	TYPE_YESNO,
	TYPE_NUMBER,
	TYPE_SIZE,
	TYPE_DURATION,
	TYPE_CHOICE,
	TYPE_SET,
	TYPE_STRING,
	TYPE_ADDRESS,
	TYPE_ADDRESSES,
	TYPE_NETS, /* each in addr_range_text()'s form */
	TYPE_LIST,
	TYPE_PAIRS,
	TYPE_DICT, /* as its text in the data format */
	TYPE_FLOW,
};

struct setting_row {
	const char *name;
	enum setting_level level;
	enum setting_type type;
	uint64_t min, max; /* of a number; LEN: max; ITEMS: items, bytes of each */
	const char *words; /* CHOICE, SET: separated by '|' */
	const char *def;
	uint64_t right; /* enum ipc_right: any of these */
	const char *sentence;
};

extern const struct setting_row setting_rows[SETTINGS];

enum { SETTING_TEXT_MAX = 24 << 10, SETTING_PACKED_MAX = 24 << 10 };

/* By its name in any case, or SETTINGS. */
enum setting setting_find(struct slice name);

/* The packed default; lives for ever. */
struct slice setting_default(enum setting s);

/*
 * One value in the admin data format to its packed form, which is appended to `ret`. 0, or 1 with a
 * text that says what the value is to be like; the text lives until the next call.
 */
int setting_parse(enum setting s, struct slice text, struct buf *ret, const char **ret_why);

/* The canonical text of a packed value. */
void setting_put(struct buf *b, enum setting s, struct slice packed);

/* What the value may be, for people: "a number, 0 to 100". */
void setting_put_type(struct buf *b, enum setting s);

/* YESNO 0 or 1, NUMBER, SIZE, DURATION, CHOICE, SET; the count of a FLOW. */
uint64_t setting_number(struct slice packed);
/* The period of a FLOW in seconds. */
uint64_t setting_period_s(struct slice packed);
/* Takes the next item of a LIST, ADDRESSES or NETS (of PAIRS: key, value, key ...); false at the end. */
bool setting_next(struct slice *packed, struct slice *ret_item);
