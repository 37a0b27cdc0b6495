#include "ctl/ctl.h"

const struct command ctl_commands[] = {
	{ "domain", "list", 0, 0, ctl_domain_list, 0, "", "", "names of all domains", "" },
	{ "domain", "main", 0, 0, ctl_domain_main, 0, "", "", "the Main Domain's name", "" },
	{ "domain", "create", 1, 100, ctl_domain_create, 0, "NAME [KEY=VALUE...]", "",
	    "make a domain, with settings", "All of it or nothing." },
	{ "domain", "delete", 1, 1, ctl_domain_delete, 0, "NAME", "force", "delete an empty domain",
	    "The Main Domain stays; a domain with objects is deleted with --force only: with all "
	    "its "
	    "accounts and their mail, which nothing brings back. It goes object by object; when it "
	    "breaks off, the same command goes on with the rest." },
	{ "domain", "aliases", 1, 100, ctl_domain_aliases, 0, "NAME [= [ALIAS...]]", "",
	    "other names of a domain; with '=' they are set",
	    "After = comes the new list in place of the old one." },
	{ "domain", "addresses", 1, 200, ctl_domain_addresses, 0, "NAME [= [RANGE...]]", "",
	    "local addresses that lead to a domain; with '=' they are set",
	    "Whoever connects to one of these addresses of this machine and types a name without a "
	    "domain means this domain: gatehousectl domain addresses client.example = 192.0.2.2. "
	    "A RANGE is an address, ADDRESS-ADDRESS or ADDRESS/BITS, of IPv4 or IPv6. No address "
	    "belongs to two domains: what meets another domain's range is refused, with its "
	    "name." },
	{ "domain", "info", 1, 1, ctl_domain_info, 0, "NAME", "",
	    "state, and how many objects it has", "" },
	{ "domain", "rename", 2, 2, ctl_domain_rename, 0, "NAME NEW", "",
	    "another name for a domain, with all that is in it",
	    "The old name leads nowhere afterwards; 'domain aliases' can keep it." },
	{ "domain", "suspend", 1, 1, ctl_domain_suspend, 0, "NAME", "",
	    "no logins, and mail is put off, until resumed", "" },
	{ "domain", "resume", 1, 1, ctl_domain_resume, 0, "NAME", "", "logins and mail again", "" },
	{ "domain", "settings", 1, 100, ctl_domain_settings, 0, "NAME [KEY=VALUE...]", "effective",
	    "what is set for a domain; with KEY=VALUE it is changed",
	    "The value default takes a setting away. --effective shows what counts. 'settings "
	    "table' lists all there "
	    "are." },
	{ "domain", "objects", 1, 1, ctl_domain_objects, 0, "NAME", "filter=TEXT",
	    "accounts, aliases and forwarders in it, by name",
	    "With --filter those with this text in their names." },
	{ "domain", "administered", 0, 1, ctl_domain_administered, 0, "[NAME]", "",
	    "the domains that accounts of a domain can administer; alone: those that you can", "" },
	{ "domain", "stat", 1, 1, ctl_domain_stat, 0, "NAME", "",
	    "how many objects it has, and how often they were asked for", "" },
	{ "domain", "location", 1, 1, ctl_domain_location, 0, "NAME", "",
	    "where it is kept: the database and its number there", "" },
	{ "account", "list", 0, 1, ctl_account_list, 0, "[DOMAIN]", "",
	    "names of a domain's accounts", "Of the Main Domain, if none is named." },
	{ "account", "create", 1, 100, ctl_account_create, 0, "NAME [QUOTA] [KEY=VALUE...]", "",
	    "make an account; QUOTA in bytes, or with K, M, G",
	    "A name without a domain is one of the Main Domain. The account has no password yet. "
	    "With settings it is all of it or nothing." },
	{ "account", "delete", 1, 1, ctl_account_delete, CTL_DRY, "NAME", "",
	    "delete an account and its mail", "" },
	{ "account", "info", 1, 10, ctl_account_info, 0, "NAME [KEY...]", "",
	    "what is known about an account", "" },
	{ "account", "quota", 2, 2, ctl_account_quota, 0, "NAME BYTES|unlimited", "",
	    "how much it may store", "" },
	{ "account", "suspend", 1, 1, ctl_account_suspend, 0, "NAME", "", "no logins until resumed",
	    "Sessions end at once; mail to it is refused." },
	{ "account", "resume", 1, 1, ctl_account_resume, 0, "NAME", "", "logins again", "" },
	{ "account", "rename", 2, 2, ctl_account_rename, 0, "NAME NEW", "",
	    "another name for an account, also in another domain",
	    "Its mail, password and settings stay. In another domain it loses its aliases "
	    "and its rights; an account that owns mailing lists stays where it is." },
	{ "account", "settings", 1, 100, ctl_account_settings, 0, "NAME [KEY=VALUE...]",
	    "effective", "what is set for an account; with KEY=VALUE it is changed",
	    "As 'domain settings'." },
	{ "account", "setting", 2, 2, ctl_account_setting, 0, "NAME KEY", "",
	    "the one of its settings that counts", "" },
	{ "account", "stat", 1, 2, ctl_account_stat, 0, "NAME [FIGURE]", "",
	    "its figures, or one of them", "" },
	{ "account", "rights", 1, 60, ctl_account_rights, 0, "NAME [= [RIGHT...]]", "",
	    "what it may administer; with '=' that is set",
	    "Rights over the server (Master, Settings, UserAccounts, ...) are for accounts of the "
	    "Main Domain; Domain "
	    "and those that begin with Can are rights over the own domain." },
	{ "account", "location", 1, 1, ctl_account_location, 0, "NAME", "",
	    "where its mail is kept: the database and its number there",
	    "Nothing on the disk goes by names." },
	{ "account", "identity", 2, 2, ctl_account_identity, 0, "NAME FROM", "",
	    "may it appear under this From: one address or several, with names or without",
	    "An address is the account's when mail to it ends there, or when its SenderAddresses "
	    "has it." },
	{ "account", "type", 2, 2, ctl_account_type, 0, "NAME TYPE", "",
	    "its type, which can only be MultiMailbox", "" },
	{ "account", "import", 1, 1, ctl_account_import, CTL_DRY, "FILE|-", "",
	    "make many: lines NAME or NAME:{CRYPT}hash, NAME:{PLAIN}password",
	    "Blank lines and those that begin with # are passed over. Several hundred are on their "
	    "way at a "
	    "time; each refusal is named on standard error, and a progress line shows on a "
	    "terminal." },
	{ "alias", "list", 1, 1, ctl_alias_list, 0, "ACCOUNT", "", "other names of an account",
	    "" },
	{ "alias", "set", 1, 200, ctl_alias_set, 0, "ACCOUNT [ALIAS...]", "",
	    "in place of those it has", "" },
	{ "alias", "mailboxes", 1, 52, ctl_alias_mailboxes, 0, "ACCOUNT [= [ALIAS=MAILBOX...]]", "",
	    "other names of mailboxes, mostly of others'; with '=' they are set",
	    "They are kept; no door shows them yet." },
	{ "group", "list", 0, 1, ctl_group_list, 0, "[DOMAIN]", "", "names of a domain's groups",
	    "" },
	{ "group", "create", 1, 200, ctl_group_create, 0, "NAME [MEMBER...]", "",
	    "one name for several people", "" },
	{ "group", "show", 1, 1, ctl_group_show, 0, "NAME", "", "its members and settings", "" },
	{ "group", "members", 1, 1000, ctl_group_members, 0, "NAME [MEMBER...]", "",
	    "in place of those it has", "" },
	{ "group", "settings", 1, 20, ctl_group_settings, 0, "NAME [KEY=VALUE...]", "",
	    "what is set for a group; with KEY=VALUE it is changed",
	    "What is not named stays, members as well." },
	{ "group", "rename", 2, 2, ctl_group_rename, 0, "NAME NEW", "", "another name for it", "" },
	{ "group", "delete", 1, 1, ctl_group_delete, 0, "NAME", "",
	    "the name goes, its members stay", "" },
	{ "forwarder", "list", 0, 1, ctl_forwarder_list, 0, "[DOMAIN]", "",
	    "names that lead to other addresses", "" },
	{ "forwarder", "create", 2, 2, ctl_forwarder_create, 0, "NAME ADDRESS", "",
	    "a name that leads to an address", "" },
	{ "forwarder", "show", 1, 1, ctl_forwarder_show, 0, "NAME", "", "where it leads", "" },
	{ "forwarder", "find", 2, 2, ctl_forwarder_find, 0, "DOMAIN ADDRESS", "",
	    "those that lead to an address", "" },
	{ "forwarder", "rename", 2, 2, ctl_forwarder_rename, 0, "NAME NEW", "",
	    "another name for it", "" },
	{ "forwarder", "delete", 1, 1, ctl_forwarder_delete, 0, "NAME", "", "it leads nowhere",
	    "" },
	{ "list", "list", 0, 1, ctl_list_list, 0, "[DOMAIN]", "owner=ACCOUNT subscribers",
	    "names of mailing lists, of a domain or an account",
	    "With --subscribers, and of an account, how many subscribe to each: nobody yet." },
	{ "list", "create", 2, 2, ctl_list_create, 0, "NAME OWNER", "",
	    "keep a name for a mailing list",
	    "Lists themselves come with a later version: mail to one is refused." },
	{ "list", "show", 1, 1, ctl_list_show, 0, "NAME", "", "whose list it is", "" },
	{ "list", "rename", 2, 2, ctl_list_rename, 0, "NAME NEW", "", "another name for it", "" },
	{ "list", "delete", 1, 1, ctl_list_delete, 0, "NAME", "", "the name is free again", "" },
	{ "settings", "table", 0, 0, ctl_settings_table, 0, "", "",
	    "all settings there are, and who may change them",
	    "With --json a sentence about each, too." },
	{ "settings", "show", 1, 2, ctl_settings_show, 0, "SCOPE [NAME]", "effective",
	    "what is set in a scope",
	    "SCOPE is server, domain-defaults, account-defaults-all, or with a NAME domain, "
	    "account-defaults, template, "
	    "account. What is not set for an account counts as its domain's account-defaults say, "
	    "then as "
	    "account-defaults-all; what is not set for a domain as domain-defaults say." },
	{ "settings", "set", 2, 100, ctl_settings_set, 0, "SCOPE [NAME] KEY=VALUE...", "",
	    "changes these, the value default takes one away", "" },
	{ "settings", "replace", 1, 100, ctl_settings_replace, 0, "SCOPE [NAME] [KEY=VALUE...]", "",
	    "these and no others: what is not named is taken away",
	    "Suspended and Prefs of an account stay when they are not named; Prefs=default takes "
	    "preferences away." },
	{ "prefs", "show", 2, 2, ctl_prefs_show, 0, "account|domain NAME", "effective",
	    "preferences of an account, or of a domain for its accounts",
	    "--effective: an account's own, then its domain's, then the server's." },
	{ "prefs", "set", 3, 100, ctl_prefs_set, 0, "account|domain NAME KEY=VALUE...", "",
	    "changes these, the value default takes one away", "" },
	{ "prefs", "replace", 2, 100, ctl_prefs_replace, 0, "account|domain NAME [KEY=VALUE...]",
	    "", "these and no others", "" },
	{ "alert", "list", 1, 2, ctl_alert_list, 0, "server|domain|account [NAME]", "effective",
	    "what people are alerted of",
	    "IMAP shows each to each user once. --effective: of an account, with those of its "
	    "domain and "
	    "of the server." },
	{ "alert", "post", 2, 3, ctl_alert_post, 0, "server|domain|account [NAME] TEXT", "",
	    "one more alert", "" },
	{ "alert", "remove", 2, 3, ctl_alert_remove, 0, "server|domain|account [NAME] TEXT|TIME",
	    "", "takes one away", "" },
	{ "alert", "set", 1, 22, ctl_alert_set, 0, "server|domain|account [NAME] [TEXT...]", "",
	    "these in place of all", "One that was there already is not shown again." },
	{ "dump", NULL, 0, 1, ctl_dump, 0, "[FILE]", "",
	    "the whole directory as a text: domains, accounts and all other objects, settings, the "
	    "Router's table",
	    "One object a line, always in the same order, so that two dumps can be compared. "
	    "Passwords are not in it. "
	    "'apply' reads it." },
	{ "apply", NULL, 1, 1, ctl_apply, CTL_DRY, "FILE|-", "prune keep-going",
	    "makes the directory what a dump says",
	    "What is there already is left alone, so a second time does nothing. Objects that are "
	    "not in the file stay, "
	    "unless --prune takes them away, accounts with their mail. A line that is not "
	    "understood is named and nothing "
	    "is changed. Each difference is shown (+ made, - taken away, ~ changed); --dry-run "
	    "shows no more. When a "
	    "command is refused, what comes after it is not begun unless --keep-going says so; the "
	    "same file may be applied "
	    "again." },
	{ "password", "set", 1, 2, ctl_password_set, 0, "ACCOUNT [METHOD]", "tag=TAG check all",
	    "from standard input; METHOD yescrypt, sha512crypt, bcrypt, scram-sha-256, plain, "
	    "given",
	    "The password is a line of standard input, so that no list of processes shows it; a "
	    "terminal "
	    "does not show it either. given: the line is a hash, and is stored as it is. With "
	    "--tag it is one more password, for a program that fetches or sends mail, beside the "
	    "own one; an account may have 8 of these. --check refuses one that is easily "
	    "guessed. --all: every tagged one goes, as they should when somebody else may know "
	    "them." },
	{ "password", "check", 1, 1, ctl_password_check, 0, "ACCOUNT", "", "from standard input",
	    "The own one; a tagged one is not taken for it." },
	{ "password", "tags", 1, 1, ctl_password_tags, 0, "ACCOUNT", "",
	    "the tags of its tagged passwords", "" },
	{ "password", "remove", 2, 2, ctl_password_remove, 0, "ACCOUNT TAG", "",
	    "a tagged password opens the account no longer", "The account's sessions end." },
	{ "session", "list", 0, 1, ctl_session_list, 0, "[ACCOUNT]",
	    "service=NAME peer=ADDRESS for=ADDRESS transport=LINK client=NAME", "who is logged in",
	    "The first column is the session's name in the log, too." },
	{ "session", "find", 1, 1, ctl_session_find, 0, "ACCOUNT",
	    "service=NAME peer=ADDRESS for=ADDRESS transport=LINK client=NAME",
	    "one session of an account, by its name in the log",
	    "--for is the address for which a proxy says that it connects; a client's name is what "
	    "it calls itself by IMAP's ID; LINK is tls or plain." },
	{ "session", "show", 1, 1, ctl_session_show, 0, "SID", "domain=NAME",
	    "what is known about one session",
	    "With --domain it is there only if its account is of that domain." },
	{ "session", "kick", 1, 1, ctl_session_kick, CTL_DRY, "SID|ACCOUNT", "domain=NAME",
	    "end a session, or all of an account",
	    "With --domain a session is ended only if its account is of that domain." },
	{ "route", "show", 1, 2, ctl_route_show, 0, "NAME [mail|access|signal]", "",
	    "where a name leads: module, queue and address", "'route test' says why." },
	{ "route", "test", 1, 2, ctl_route_test, 0, "NAME [mail|access|signal]",
	    "mode=MODE local=ADDRESS domain=NAME", "where a name leads, and why, step by step",
	    "--mode is mail, access (a login; the default) or signal. A name without a domain is "
	    "completed as the server would: by --domain, the one that the protocol names (the host "
	    "of a URL, for XMPP the stream's 'to'), else by --local, the address of this machine "
	    "that "
	    "the client has reached. Each record, object and setting that decided is named." },
	{ "route", "login", 2, 3, ctl_route_login, 0, "NAME LOCAL-ADDRESS [DOMAIN]", "",
	    "where a login name leads, typed at that local address", "" },
	{ "router", "show", 0, 0, ctl_router_show, 0, "", "", "the Router's table", "" },
	{ "router", "set", 1, 1, ctl_router_set, CTL_DRY, "FILE|-", "",
	    "a new table in place of the old one",
	    "With --dry-run the lines that would go and come." },
	{ "router", "settings", 0, 20, ctl_router_settings, 0, "[KEY=VALUE...]", "",
	    "settings of the Router, which has none beside its table", "" },
	{ "blacklist", NULL, 0, 501, ctl_blacklist, 0, "[= [ADDRESS...]]", "",
	    "hosts whose mail on port 25 is not wanted; with '=' they are set",
	    "An ADDRESS is one of IPv4 or IPv6, ADDRESS-ADDRESS or ADDRESS/BITS. It is the setting "
	    "BlacklistedIPs of the server." },
	{ "undelete", "list", 1, 1, ctl_undelete_list, 0, "ACCOUNT",
	    "mailbox=NAME since=TIME until=TIME uid=NUMBER",
	    "messages that were deleted and can be restored",
	    "--since and --until are moments of the deletion: a day (2025-11-22), a minute "
	    "(\"2025-11-22 07:30\"), "
	    "or so long ago (90m, 12h, 3d). At most 10,000 are listed." },
	{ "undelete", "restore", 1, 1, ctl_undelete_restore, CTL_DRY, "ACCOUNT",
	    "mailbox=NAME since=TIME until=TIME uid=NUMBER", "bring them back where they were",
	    "A mailbox that was deleted is made again. Messages keep their flags (but \\Deleted), "
	    "keywords and dates, "
	    "and get new numbers." },
	{ "undelete", "purge", 1, 1, ctl_undelete_purge, CTL_DRY, "ACCOUNT",
	    "mailbox=NAME until=TIME", "remove them for good, before their time",
	    "Nothing is purged of an account on hold." },
	{ "undelete", "hold", 1, 2, ctl_undelete_hold, 0, "ACCOUNT [on|off]", "",
	    "purge nothing of this account until it is off again; alone: how it is",
	    "As long as it is on, the account cannot be deleted either." },
	{ "stat", NULL, 0, 1, ctl_stat, 0, "[ACCOUNT]", "",
	    "figures of the server or of one account", "" },
	{ "figure", "show", 1, 1, ctl_figure_show, 0, "NAME", "", "one figure of the server", "" },
	{ "figure", "next", 0, 1, ctl_figure_next, 0, "[NAME]", "",
	    "the name of the figure behind this one, or of the first; empty behind the last", "" },
	{ "figure", "reset", 2, 2, ctl_figure_reset, 0, "account|domain NAME", "",
	    "counts anew how often it was asked for, as a recipient and by logins", "" },
	{ "figure", "set", 2, 2, ctl_figure_set, 0, "NAME NUMBER|+NUMBER", "",
	    "a figure of your own, which 'stat' shows with the others",
	    "Its name begins with custom. It begins anew when the server starts." },
	{ "store", "export", 2, 4096, ctl_store_export, CTL_DRY, "ACCOUNT [MAILBOX...] DIR",
	    "format=NAME", "an account's mail into files: Maildir++ as Dovecot has it, mbox, .eml",
	    "Each mailbox as it is at one moment, synced to the disk. What is there from an "
	    "earlier run "
	    "is not "
	    "written again. --format is maildir (with flags, keywords, uids, dates, "
	    "subscriptions), "
	    "mboxrd, "
	    "mboxo, mboxcl, mboxcl2 or eml. docs/port.md has recipes." },
	{ "store", "import", 2, 2, ctl_store_import, CTL_DRY, "ACCOUNT SOURCE",
	    "into=MAILBOX format=NAME local-time state=FILE ca=FILE skip-present message-id=ID",
	    "mail from files or another IMAP server into an account",
	    "SOURCE is a file or a directory with Maildirs, mboxes or .eml files, or "
	    "imaps://USER@HOST[:PORT]/ (its password is a line of standard input). Flags, "
	    "keywords, "
	    "dates and, in new mailboxes, uids are kept. What is moved is written to "
	    "SOURCE.ACCOUNT.import (--state), so that the same command goes on after a break and "
	    "nothing comes twice. Everything that is not moved is told with the reason, and the "
	    "status is 1 then. --into puts it below a mailbox; --format says which kind of mbox "
	    "where it cannot be found out; --local-time reads From lines as this machine's time; "
	    "--ca names certificates to trust in place of the system's. --skip-present leaves out "
	    "what the mailbox has already, the same bytes with the same date, from wherever it "
	    "came. --message-id takes only the messages with this Message-ID." },
	{ "check", NULL, 0, 0, ctl_check, CTL_OFFLINE, "", "account=NAME",
	    "is all well: configuration, certificates, ports, store, delivery and fetch",
	    "A line for each thing looked at: ok, warning or failed, with what to do. Delivery is "
	    "tried with an "
	    "account that is made for it in the Main Domain (gatehouse-check-..., a random "
	    "password) and deleted "
	    "at the end; with --account an account of yours, whose password is a line of standard "
	    "input, and "
	    "only the messages of this check are removed from it. --quiet leaves out what is well. "
	    "The status is "
	    "0 unless something failed; warnings do not count." },
	{ "log", "write", 2, 2, ctl_log_write, 0, "error|warning|notice|info|debug TEXT", "",
	    "a line of yours into the log", "" },
	{ "log", NULL, 0, 1, ctl_log, CTL_OFFLINE, "[SID]", "account=NAME follow file=PATH journal",
	    "lines of one session, or of an account",
	    "The log is where the configuration says: log_file, or the journal. With log_target = "
	    "stderr "
	    "name the file. An account's lines are those of all its sessions, of refused logins "
	    "under its "
	    "name, and of changes that name it. --follow goes on as lines are written." },
	{ "store", "backup", 2, 2, ctl_store_backup, CTL_OFFLINE, "DIR TARGET", "keep=N quick",
	    "copy a server's data, as it is at one instant",
	    "DIR is the data directory; the server may run, and nothing waits for the copy. TARGET "
	    "gets "
	    "one more generation, named by the time, which stands for itself; what the one before "
	    "has "
	    "already is shared with it by hard links. The copy is read back and compared with its "
	    "sums, "
	    "unless --quick is given. With --keep the oldest generations are removed, so that N "
	    "stay." },
	{ "store", "restore", 1, 2, ctl_store_restore, CTL_OFFLINE | CTL_DRY, "GENERATION [DIR]",
	    "account=NAME from=NAME mailbox=NAME uid=N message-id=ID into=MAILBOX shards=N",
	    "make a data directory of a backup, or bring back some of its mail",
	    "Without DIR: mail of --account goes back into the running server, all of it, or what "
	    "--mailbox, --uid and --message-id say. Nothing is replaced or removed: a message that "
	    "its mailbox has already (the same bytes and date) is left out, the others come with "
	    "flags, keywords and dates, into --into if that is given. --from is the account's name "
	    "in the backup, if that was another. A copy of it lies in $TMPDIR (/var/tmp) "
	    "meanwhile. With DIR: DIR is the data directory of a server that is stopped; its "
	    "folders store, directory "
	    "and secrets "
	    "must be missing or empty: nothing is written over. Uids, modseqs and ids go on behind "
	    "any that "
	    "the server can have given out since. With --shards the store gets so many, each "
	    "account "
	    "whole in one of them, whatever the backup has." },
	{ "store", "verify", 0, 0, ctl_store_verify, CTL_OFFLINE, "", "offline=DIR rate=MIB",
	    "read all of a store and name what is damaged",
	    "Of the server that the configuration names, while it runs: its data as it is at one "
	    "instant, "
	    "read beside it. With --offline of a data directory whose server is stopped, a copy of "
	    "one, or a "
	    "generation of a backup; then the index is read, too. Every frame of the log and every "
	    "byte of "
	    "every message is compared with its sum; each damaged item is named with account, "
	    "mailbox and "
	    "uid. Nothing is changed. --rate: so many MiB of messages in a second at most. The "
	    "status is 0 "
	    "when all is well, 1 when something is damaged, 3 when it could not be looked at." },
	{ "store", "stat", 0, 0, ctl_store_stat, CTL_OFFLINE, "", "offline=DIR",
	    "what a store holds, and how much of its files that is",
	    "Of the server that runs: how much of its files lived when they were measured last, "
	    "what "
	    "can still be restored, and when it was compacted and scrubbed. With --offline of a "
	    "data "
	    "directory whose server is stopped, by account, and what each of several shards has "
	    "in files." },
	{ "store", "compact", 0, 0, ctl_store_compact, 0, "", "wait",
	    "give back now what is dead in the store's files",
	    "The server does this by itself when enough is dead (compact_dead_percent). Users go "
	    "on, and "
	    "come first. With --wait the command ends with the pass, and its status is 1 when that "
	    "was "
	    "given up." },
	{ "store", "scrub", 0, 0, ctl_store_scrub, 0, "", "wait list",
	    "read all of the store now and name what is damaged",
	    "The server does this by itself every scrub_days. Every frame of the log, every row "
	    "and every "
	    "message is compared with its sum, inside the server, beside its users. With --wait "
	    "the "
	    "command ends with the scrub and lists what it found; with --list it begins none and "
	    "lists "
	    "what the last one found. The status is 1 when something is damaged." },
	{ "store", "salvage", 2, 2, ctl_store_salvage, CTL_OFFLINE, "DIR OUT",
	    "account=NAME mailbox=NAME uid=N as-store",
	    "get out what is left of a store that the server refuses",
	    "DIR is the data directory of a server that is stopped, or a generation of a backup; "
	    "nothing in "
	    "it is changed. A shard that is missing is named, and what the others have is saved. "
	    "OUT is a new or empty directory. It gets a Maildir++ for each account "
	    "with "
	    "flags, keywords, uids and dates; manifest.jsonl with a line for each message; "
	    "not-saved.jsonl with a line for each thing that is lost or in doubt, and why; "
	    "damaged, with "
	    "the bytes of messages that do not fit their sums; accounts.import, for account "
	    "import. "
	    "With --as-store it gets store, directory and secrets instead: a data directory that a "
	    "server "
	    "can be started on. --account, --mailbox and --uid: only these. A run that was broken "
	    "off "
	    "goes on "
	    "when it is started again. The status is 0 when everything was saved, 1 when "
	    "not-saved.jsonl has lines, 3 when it could not be done." },
	{ "store", "rebuild", 1, 1, ctl_store_rebuild, CTL_OFFLINE, "DIR", "",
	    "make the index anew from the log",
	    "DIR is the data directory of a server that is stopped. The old index stays beside the "
	    "new one as data.mdb.aside-TIME, to be removed by hand." },
	{ "version", NULL, 0, 0, ctl_version, 0, "", "", "the version of the server that runs",
	    "" },
	{ "grammar", NULL, 0, 1, ctl_grammar, 0, "[COMMAND]", "",
	    "commands of the administration protocol, and which words here say the same",
	    "Those of clients written for other servers that are not here yet are named, too, with "
	    "what they come with." },
	{ "cli", NULL, 0, 0, ctl_cli, 0, "", "", "the administration protocol itself, line by line",
	    "Commands from standard input, replies to standard output." },
};

const size_t ctl_command_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);
