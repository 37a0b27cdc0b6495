/* db-private - what writing and reading the directory's rows share. */
#pragma once

enum { VALUE_VERSION = 1, KEY_MAX_BYTES = 400, MEMBERS_PART_BYTES = 4096, TABLE_PART_BYTES = 1024 };

/* First bytes of keys; they sort so that what is referred to comes first. See db.h. */
enum db_row {
	ROW_DOMAIN = 'D',
	ROW_FORWARDER = 'F',
	ROW_GROUP = 'G',
	ROW_IP = 'I',
	ROW_MEMBERS = 'M',
	ROW_NEXT_ID = 'N',
	ROW_ACCOUNT = 'O',
	ROW_ALIAS = 'P',
	ROW_LIST = 'Q',
	ROW_RIGHTS = 'R',
	ROW_SETTING = 'S',
	ROW_TABLE = 'T',
	ROW_ALERTS = 'W',
	ROW_DOMAIN_ALIAS = 'd',
	ROW_SHOWN = 'w',
};
