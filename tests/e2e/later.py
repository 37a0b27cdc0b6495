"""later - commands that are not here yet: a line of each form, and the right that it will need; for the tests of the
grammar and of rights. $ is a domain with an account user and a list news; the rights are written as in rights.py.
"""

ROWS = r'''
CreateWebUserSession user@$ ADDRESS 192.0.2.1 | UserAccounts CanImpersonate self
CreateWebUserSession user@$ ADDRESS 192.0.2.1 FOR 192.0.2.2 SKIN plain | UserAccounts CanImpersonate self
CreateXIMSSSession user@$ ADDRESS 192.0.2.1 | UserAccounts CanImpersonate self
GetDomainMailRules $ | LOOK
SetDomainMailRules $ ((5, junk, (), ())) | UserAccounts RulesAllowed
GetDomainSignalRules $ | LOOK
SetDomainSignalRules $ () | UserAccounts SignalRulesAllowed
GetAccountMailRules user@$ | LOOK self
SetAccountMailRules user@$ () | UserAccounts RulesAllowed self
UpdateAccountMailRule user@$ (junk, 5) | UserAccounts RulesAllowed self
UpdateAccountMailRule user@$ DELETE junk | UserAccounts RulesAllowed self
GetAccountSignalRules user@$ | LOOK self
SetAccountSignalRules user@$ () | UserAccounts SignalRulesAllowed self
UpdateAccountSignalRule user@$ DELETE junk | UserAccounts SignalRulesAllowed self
GetServerMailRules | Settings
SetServerMailRules () | Settings
GetServerRules | Settings
SetServerRules () | Settings
GetAccountTelnums user@$ | LOOK self
SetAccountTelnums user@$ (5551234) | UserAccounts CanCreateTelnums
GetAccountRPOPs user@$ | LOOK self
SetAccountRPOPs user@$ {a={domain="b.test";};} | UserAccounts CanModifyRPOP self
GetAccountRSIPs user@$ | LOOK self
SetAccountRSIPs user@$ {} | UserAccounts CanModifyRSIP self
ListMailboxes user@$ | UserAccounts CanAccessMailboxes self
ListMailboxes user@$ FILTER "a%" AUTH u1 | UserAccounts CanAccessMailboxes self
GetMailboxInfo user@$ MAILBOX INBOX | UserAccounts CanAccessMailboxes self
GetMailboxInfo user@$ MAILBOX INBOX AUTH u1 | UserAccounts CanAccessMailboxes self
GetMailboxACL user@$ MAILBOX INBOX | UserAccounts CanAccessMailboxes self
SetMailboxACL user@$ MAILBOX INBOX {u1=lr;} | UserAccounts CanAccessMailboxes self
SetMailboxACL user@$ MAILBOX INBOX AUTH u1 {u1="+s";} | UserAccounts CanAccessMailboxes self
GetMailboxRights user@$ MAILBOX INBOX AUTH u1 | UserAccounts CanAccessMailboxes self
CreateMailbox user@$ MAILBOX new | UserAccounts CanAccessMailboxes self
CreateMailbox user@$ MAILBOX new AUTH u1 CLASS "IPF.Note" | UserAccounts CanAccessMailboxes self
DeleteMailbox user@$ MAILBOX new | UserAccounts CanAccessMailboxes self
DeleteMailbox user@$ MAILBOXES new AUTH u1 | UserAccounts CanAccessMailboxes self
RenameMailbox user@$ MAILBOX a INTO b | UserAccounts CanAccessMailboxes self
RenameMailbox user@$ MAILBOXES a into b AUTH u1 | UserAccounts CanAccessMailboxes self
SetMailboxClass user@$ MAILBOX a CLASS "IPF.Note" | UserAccounts CanAccessMailboxes self
GetMailboxSubscription user@$ | UserAccounts CanAccessMailboxes self
SetMailboxSubscription user@$ (INBOX) | UserAccounts CanAccessMailboxes self
GetAccountACL user@$ | UserAccounts CanAccessMailboxes self
GetAccountACL user@$ AUTH u1 | UserAccounts CanAccessMailboxes self
SetAccountACL user@$ {u1=lr;} | UserAccounts CanAccessMailboxes self
SetAccountACL user@$ AUTH u1 {} | UserAccounts CanAccessMailboxes self
GetAccountACLRights user@$ AUTH u1 | UserAccounts CanAccessMailboxes self
ReadStorageFile user@$ FILE "a/b.txt" | UserAccounts CanAccessWebSites self
ReadStorageFile user@$ FILE a OFFSET 1 SIZE 2 AUTH u1 | UserAccounts CanAccessWebSites self
WriteStorageFile user@$ FILE a DATA [aGVsbG8=] | UserAccounts CanAccessWebSites self
WriteStorageFile user@$ FILE a OFFSET BEG AUTH u1 DATA [] | UserAccounts CanAccessWebSites self
RenameStorageFile user@$ FILE a INTO b | UserAccounts CanAccessWebSites self
DeleteStorageFile user@$ FILE a | UserAccounts CanAccessWebSites self
ListStorageFiles user@$ | UserAccounts CanAccessWebSites self
ListStorageFiles user@$ PATH a | UserAccounts CanAccessWebSites self
GetStorageFileInfo user@$ | UserAccounts CanAccessWebSites self
GetStorageFileInfo user@$ PATH a | UserAccounts CanAccessWebSites self
RemoveAccountSubset user@$ SUBSET files | UserAccounts CanCreateAccounts
ListSubscribers news@$ | LOOK
ListSubscribers news@$ FILTER a | LOOK
ListSubscribers news@$ FILTER a 5 | LOOK
GetSubscriberInfo news@$ NAME a@b.test | LOOK
UpdateList news@$ {Reply=list;} | UserAccounts CanCreateLists
List news@$ subscribe a@b.test | UserAccounts CanCreateLists
List news@$ subscribe SILENTLY CONFIRM a@b.test | UserAccounts CanCreateLists
SetPostingMode news@$ FOR a@b.test moderate | UserAccounts CanCreateLists
GetLANIPs | Settings
SetLANIPs ("192.0.2.0/24") | Settings
GetClientIPs | Settings
SetClientIPs () | Settings
GetWhiteHoleIPs | Settings
SetWhiteHoleIPs () | Settings
GetDeniedIPs | Settings
SetDeniedIPs () | Settings
GetBanned | Settings
SetBanned {} | Settings
GetTempClientIPs | Settings Monitors
GetIPState 192.0.2.1 | Settings Monitors
GetIPState 192.0.2.1 TEMP | Settings Monitors
GetMessageQueueInfo SMTP QUEUE b.test | Settings Monitors
ReleaseSMTPQueue b.test | Settings
RejectQueueMessage 17 | Settings
RejectQueueMessage 17 "not wanted" | Settings
GetModule SMTP | Settings
UpdateModule SMTP {LogLevel=3;} | Settings
SetModule SMTP {} | Settings
RefreshOSData | Settings
Shutdown | none
'''


def lines(domain):
    """The commands, about that domain."""
    return [row.rsplit(" | ", 1)[0].replace("$", domain) for row in ROWS.strip().split("\n")]
